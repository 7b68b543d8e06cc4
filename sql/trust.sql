-- How nodes know each other: src/txn/node_proof.cpp, src/cluster/secret.cpp.

CREATE FUNCTION citus_internal.prove_node(token bytea) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_prove_node';

-- In whose name the statements of the transaction run from here on, said by the node that opened the session.
CREATE FUNCTION citus_internal.act_as(role name, number bigint, proof bytea) RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_act_as';

-- This server's sessions that other nodes opened, and the global pids of the backends that they work for.
CREATE FUNCTION citus_internal.node_sessions(OUT pid integer, OUT global_pid bigint) RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'citus_internal_node_sessions';

CREATE FUNCTION citus_internal.wrap_secret(key bytea, secret bytea) RETURNS bytea
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_wrap_secret';
CREATE FUNCTION citus_internal.unwrap_secret(wrapped bytea) RETURNS bytea
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_internal_unwrap_secret';

-- From now on sessions opened with the secret are those of nodes; this server's own are opened with another one for now.
CREATE FUNCTION citus_internal.accept_secret(wrapped bytea) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    handed bytea := citus_internal.unwrap_secret(wrapped);
BEGIN
    DELETE FROM citus_internal.cluster_secret WHERE valid_until < now();
    -- Long enough for a transaction in doubt to be finished by who hands it over.
    INSERT INTO citus_internal.cluster_secret SELECT handed, false, now() + interval '7 days'
    WHERE NOT EXISTS (SELECT FROM citus_internal.cluster_secret WHERE secret = handed);
END
$$;

-- Sessions are opened with the secret; the one before is accepted for as long as sessions may be on their way.
CREATE FUNCTION citus_internal.use_secret(wrapped bytea) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    handed bytea := citus_internal.unwrap_secret(wrapped);
BEGIN
    UPDATE citus_internal.cluster_secret
    SET current = false, valid_until = least(valid_until, now() + interval '10 minutes')
    WHERE current AND secret <> handed;
    UPDATE citus_internal.cluster_secret SET current = true, valid_until = 'infinity' WHERE secret = handed;
    IF NOT FOUND THEN
        INSERT INTO citus_internal.cluster_secret VALUES (handed, true, 'infinity');
    END IF;
END
$$;

CREATE FUNCTION citus_internal.random_secret() RETURNS bytea
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) $$;

-- A server that leaves a cluster is one of its own again.
CREATE FUNCTION citus_internal.forget_secret() RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM citus_internal.cluster_secret;
    INSERT INTO citus_internal.cluster_secret VALUES (citus_internal.random_secret(), true, 'infinity')
$$;

CREATE FUNCTION pg_catalog.citus_rotate_cluster_secret() RETURNS void
    LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'citus_rotate_cluster_secret';

REVOKE ALL ON FUNCTION citus_internal.wrap_secret(bytea, bytea), citus_internal.unwrap_secret(bytea),
    citus_internal.accept_secret(bytea), citus_internal.use_secret(bytea), citus_internal.random_secret(),
    citus_internal.forget_secret(), pg_catalog.citus_rotate_cluster_secret() FROM PUBLIC;
