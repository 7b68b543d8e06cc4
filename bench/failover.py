"""The measurements of bench/failover, on the cluster that it has made."""
import argparse
import importlib.machinery
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
loader = importlib.machinery.SourceFileLoader('civitas', HERE + '/../deploy/civitas')
civitas = importlib.util.module_from_spec(importlib.util.spec_from_loader('civitas', loader))
loader.exec_module(civitas)
cluster = civitas.Cluster(os.environ['CIVITAS_CLUSTER'])
KINDS = ['prepared', 'insert', 'copy', 'transfer', 'read', 'total', 'transfer', 'read']
first_key = 0


def query(text):
    return civitas.sql(cluster, civitas.coordinator(cluster), text)


def with_clients(action):
    global first_key
    first_key += 10_000_000
    proxy = cluster.hosts[cluster.settings['proxies'][0]]
    worker = cluster.hosts[cluster.leader(2)]
    clients = [{'kind': kind, 'host': proxy, 'port': cluster.ports['coordinator']} for kind in KINDS[:6]] + \
        [{'kind': kind, 'host': worker, 'port': cluster.ports['postgresql']} for kind in KINDS[6:]]
    run = subprocess.Popen(['/usr/bin/python3', HERE + '/../test/tap/lib/ha_clients.py'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           text=True)
    run.stdin.write(json.dumps({'password': cluster.secrets()['superuser'], 'database': cluster.database, 'first_key': first_key,
                                'clients': clients}) + '\n')
    run.stdin.flush()
    time.sleep(2)
    result = action()
    time.sleep(3)
    out, _ = run.communicate()
    return json.loads(out)['clients'], result


def settled():
    civitas.wait_for('all members', lambda: civitas.registered(cluster, cluster.groups) and civitas.standbys_run(cluster))
    time.sleep(3)


def switch():
    civitas.switchover(cluster, argparse.Namespace(group=1, to=None))


def crash():
    leader = cluster.leader(1)
    folder = cluster.folder(leader)
    with open(folder + '/patroni.process', encoding='utf-8') as file:
        patroni = int(file.read().split()[0])
    with open(folder + '/data/postmaster.pid', encoding='utf-8') as file:
        postmaster = int(file.readline())
    os.kill(patroni, signal.SIGKILL)
    os.kill(postmaster, signal.SIGSTOP)
    children = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(postmaster)], capture_output=True, text=True, check=False).stdout
    for process in [postmaster] + [int(child) for child in children.split()]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
    civitas.wait_for('another leader', lambda: cluster.leader(1) not in (None, leader))
    known = time.time()

    def writes():
        try:
            query('UPDATE accounts SET balance = balance')
            return True
        except civitas.Failure:
            return False
    civitas.wait_for('a write', writes)
    return time.time() - known


def main():
    query("CREATE TABLE accounts (id int PRIMARY KEY, balance bigint); SELECT create_distributed_table('accounts', 'id', shard_count => 6); "
          "CREATE TABLE events (id bigint PRIMARY KEY); SELECT create_distributed_table('events', 'id', shard_count => 6); "
          'INSERT INTO accounts SELECT g, 0 FROM generate_series(1, 200) g')
    print('| event | longest time without an answer | errors | new leader to first write |\n|---|---|---|---|')
    for number in range(int(sys.argv[1])):
        settled()
        clients, _ = with_clients(switch)
        print(f"| switchover {number + 1} | {max(c['gap'] for c in clients):.2f} s | {sum(c['error_count'] for c in clients)} | |", flush=True)
    settled()
    clients, seconds = with_clients(crash)
    print(f"| crash | {max(c['gap'] for c in clients):.2f} s | {sum(c['error_count'] for c in clients)} | {seconds:.2f} s |")


main()
