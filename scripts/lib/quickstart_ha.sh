# shellcheck shell=bash disable=SC2154,SC2034 # variables of scripts/quickstart
# Sourced by scripts/quickstart: --ha, a cluster of three groups of two servers each, with Patroni, etcd, HAProxy and PgBouncer, on
# loopback addresses. Debian's programs for that are unpacked under DIR; nothing is installed for them and no service is started.

civitas() {
	(
		eval "$(scripts/haroot "$dir/parts")"
		CIVITAS_BINDIR=$bindir CIVITAS_NO_SYSTEMD=1 CIVITAS_CLUSTER=$dir/cluster.yaml "$top/deploy/civitas" "$@"
	)
}

step_ha_parts() {
	chmod 711 "$dir"
	scripts/haroot "$dir/parts" >/dev/null || return
	[ ! -d "$dir/parts/usr" ] || note='unpacked, not installed'
}

step_ha_cluster() {
	if [ ! -f "$dir/cluster.yaml" ]; then
		sed -e "s|^directory: .*|directory: $dir/cluster|" \
			-e "s/postgresql: 9710/postgresql: $((port + 10))/; s/patroni: 9711/patroni: $((port + 11))/" \
			-e "s/etcd: 9712/etcd: $((port + 12))/; s/etcd_peers: 9713/etcd_peers: $((port + 13))/" \
			"$top/deploy/cluster.yaml" >"$dir/cluster.yaml" || return
	fi
	civitas up || return
	note=$(civitas status | grep -c running)
	note="$note servers"
	ha_password=$(sed -n 's/^superuser: //p' "$dir/cluster/secrets.yaml")
}

# psql_at of the steps for the demo: every node is the coordinator, through HAProxy.
ha_psql() {
	PGPASSWORD=$ha_password "$bindir/psql" -X -q -v ON_ERROR_STOP=1 \
		-d "host=127.0.0.11 port=5000 user=postgres dbname=app sslmode=require" "$@"
}

quickstart_ha() {
	psql_at() { shift; ha_psql "$@"; }
	each_node() { echo 0; }
	workers=0
	steps=7
	[ -n "$demo" ] || steps=5
	echo "Civitas: a coordinator and two workers, each with a standby, in $dir"
	step 'Debian packages' step_packages
	step 'build' step_build
	step 'install into a private copy of the server' step_install
	step 'Patroni, etcd, HAProxy, PgBouncer' step_ha_parts
	step 'three groups of two servers' step_ha_cluster
	if [ -n "$demo" ]; then
		step 'demo: the Debian package catalogue' step_demo
		step 'demo: queries, checked' step_queries
	fi
	mv "$log" "$dir/quickstart.log"
	cat <<END
Ready after $((SECONDS - begun)) s. ${demo:+The demo is in schema demo.} First, in this shell:

  eval "\$(scripts/haroot $dir/parts)"; export CIVITAS_BINDIR=$bindir CIVITAS_NO_SYSTEMD=1 CIVITAS_CLUSTER=$dir/cluster.yaml

  connect      deploy/civitas psql
  through HAProxy  psql 'host=127.0.0.11 port=5000 user=postgres dbname=app sslmode=require'   (5001: workers, 6432: PgBouncer)
               the password is "superuser" in $dir/cluster/secrets.yaml
  watch        deploy/civitas status
  switch over  deploy/civitas switchover 1         (a worker: sessions wait some two seconds, and see no error)
  stop         scripts/quickstart --stop --dir $dir      (start again: scripts/quickstart --ha --dir $dir)
  remove       scripts/quickstart --destroy --dir $dir
END
}

stop_ha() { civitas "$1"; }
