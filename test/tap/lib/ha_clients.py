"""Clients of a highly available cluster, for test/tap/high_availability.pl and bench/failover.

Reads JSON from the first line of standard input: {"password": .., "database": .., "first_key": .., "clients": [{"kind": .., "host": .., "port": ..}, ..]}.
Runs until standard input ends, and writes JSON: for every client its statements, its errors (SQLSTATE and message), its longest
time without an answer in seconds; and the keys whose insertion was acknowledged.
"""
import io
import json
import random
import sys
import threading
import time

import psycopg2

ACCOUNTS = 200


class Client(threading.Thread):
    def __init__(self, spec, what, number):
        super().__init__(daemon=True)
        self.kind, self.address = spec['kind'], (spec['host'], spec['port'])
        self.what, self.next_key = what, what['first_key'] + number * 1_000_000
        self.count, self.errors, self.gap, self.inserted = 0, [], 0.0, []
        self.session = None
        self.prepared = False

    def connect(self):
        host, port = self.address
        self.session = psycopg2.connect(host=host, port=port, user='postgres', password=self.what['password'],
                                        dbname=self.what['database'], connect_timeout=10)
        self.session.autocommit = True
        self.prepared = False

    def keys(self, count):
        first = self.next_key
        self.next_key += count
        return list(range(first, first + count))

    def statement(self, cursor):
        account, other = random.sample(range(1, ACCOUNTS + 1), 2)
        if self.kind == 'read':
            cursor.execute('SELECT balance FROM accounts WHERE id = %s', (account,))
            cursor.fetchall()
        elif self.kind == 'total':
            cursor.execute('SELECT count(*) FROM accounts')
            cursor.fetchall()
        elif self.kind == 'insert':
            keys = self.keys(1)
            cursor.execute('INSERT INTO events VALUES (%s)', keys)
            self.inserted += keys
        elif self.kind == 'prepared':
            if not self.prepared:
                cursor.execute('PREPARE add (bigint) AS INSERT INTO events VALUES ($1)')
                self.prepared = True
            keys = self.keys(1)
            cursor.execute('EXECUTE add (%s)', keys)
            self.inserted += keys
        elif self.kind == 'copy':
            keys = self.keys(20)
            cursor.copy_expert('COPY events FROM STDIN', io.StringIO(''.join(f'{key}\n' for key in keys)))
            self.inserted += keys
        elif self.kind == 'transfer':
            cursor.execute('BEGIN')
            for row, change in sorted([(account, 1), (other, -1)]):
                cursor.execute('UPDATE accounts SET balance = balance + %s WHERE id = %s', (change, row))
            cursor.execute('COMMIT')

    def run(self):
        answered = time.time()
        while not stop.is_set():
            try:
                if self.session is None:
                    self.connect()
                with self.session.cursor() as cursor:
                    self.statement(cursor)
                self.count += 1
                now = time.time()
                self.gap = max(self.gap, now - answered)
                answered = now
            except psycopg2.Error as error:
                self.errors.append([error.pgcode, str(error).split('\n')[0]])
                self.recover()
                time.sleep(0.05)
        self.gap = max(self.gap, time.time() - answered)

    def recover(self):
        try:
            with self.session.cursor() as cursor:
                cursor.execute('ROLLBACK')
        except (psycopg2.Error, AttributeError):
            self.session = None
        if self.session is not None and self.session.closed:
            self.session = None


stop = threading.Event()


def main():
    what = json.loads(sys.stdin.readline())
    clients = [Client(spec, what, number) for number, spec in enumerate(what['clients'])]
    for client in clients:
        client.start()
    sys.stdin.read()
    stop.set()
    for client in clients:
        client.join(90)
    report = [{'kind': client.kind, 'statements': client.count, 'errors': client.errors[:20], 'error_count': len(client.errors),
               'gap': round(client.gap, 3), 'stuck': client.is_alive()} for client in clients]
    json.dump({'clients': report, 'inserted': [key for client in clients for key in client.inserted]}, sys.stdout)


main()
