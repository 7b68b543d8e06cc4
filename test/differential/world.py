"""The tables that random statements are about.

A world has definitions that both sides get, what only the cluster is told (which tables are spread), rows, and
for each type of columns the values that the tables hold. World is small and always the same. Varied adds tables
with what the first one lacks; each of its ages has another type for distribution columns.
"""

import random

# column name -> type, per table; the first column is the distribution column where there is one
TABLES = {
    "t1": [("k", "int"), ("a", "int"), ("b", "text"), ("c", "numeric"), ("d", "timestamptz"),
           ("e", "bool"), ("f", "float8")],
    "t2": [("k", "int"), ("a", "int"), ("g", "date"), ("b", "text")],
    "t3": [("id", "text"), ("k", "int"), ("x", "bigint")],
    "r1": [("a", "int"), ("n", "text")],
    "r2": [("g", "date"), ("w", "bigint")],
    "l1": [("a", "int"), ("y", "text")],
    "pt": [("k", "int"), ("g", "date"), ("z", "int")],
    "u1": [("k", "int"), ("a", "int"), ("b", "text")],
    "u2": [("a", "int"), ("x", "bigint"), ("n", "text")],
}
SETUP = """
CREATE TABLE t1 (k int, a int, b text, c numeric, d timestamptz, e bool, f float8);
CREATE TABLE t2 (k int, a int, g date, b text);
CREATE TABLE t3 (id text, k int, x bigint);
CREATE TABLE r1 (a int, n text);
CREATE TABLE r2 (g date, w bigint);
CREATE TABLE l1 (a int, y text);
CREATE TABLE pt (k int, g date, z int) PARTITION BY RANGE (g);
CREATE TABLE pt_a PARTITION OF pt FOR VALUES FROM ('2000-01-01') TO ('2024-04-01');
CREATE TABLE pt_b PARTITION OF pt FOR VALUES FROM ('2024-04-01') TO ('2030-01-01');
CREATE TABLE u1 (k int PRIMARY KEY, a int, b text);
CREATE TABLE u2 (a int PRIMARY KEY, x bigint, n text);
"""
DISTRIBUTE = """
SELECT create_distributed_table('t1', 'k', shard_count => 6);
SELECT create_distributed_table('t2', 'k', colocate_with => 't1');
SELECT create_distributed_table('pt', 'k', colocate_with => 't1');
SELECT create_distributed_table('t3', 'id', shard_count => 4);
SELECT create_reference_table('r1');
SELECT create_reference_table('r2');
SELECT create_distributed_table('u1', 'k', colocate_with => 't1');
SELECT create_reference_table('u2');
"""
FILL = """
INSERT INTO t1 SELECT i % 40, nullif(i % 11, 3), nullif(substr('abcüZx1', i % 8, 1 + i % 3), ''),
  nullif((i % 17) * 0.25, 1), timestamptz '2024-01-01 00:00+00' + i * interval '31 hours',
  CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, nullif(i % 7, 2) * 1.5 FROM generate_series(1, 150) i;
INSERT INTO t2 SELECT i % 30, nullif(i % 9, 4), date '2024-01-01' + (i % 50) * 5, nullif(substr('abcabcxyz', i % 10, 2), '') FROM generate_series(1, 90) i;
INSERT INTO t3 SELECT chr(97 + i % 20), nullif(i % 25, 5), nullif(i % 13, 6) * 1000000000::bigint FROM generate_series(1, 70) i;
INSERT INTO r1 SELECT nullif(i, 6), chr(96 + i) FROM generate_series(1, 9) i;
INSERT INTO r2 SELECT date '2024-01-01' + i * 10, nullif(i, 3) FROM generate_series(1, 25) i;
INSERT INTO l1 SELECT nullif(i, 2), 'y' || i FROM generate_series(1, 8) i;
INSERT INTO u1 SELECT i, nullif(i % 9, 5), nullif(substr('abcabcxyz', i % 10, 2), '') FROM generate_series(1, 45) i;
INSERT INTO u2 SELECT i, i * 1000, 'n' || i FROM generate_series(1, 30) i;
INSERT INTO pt SELECT i % 35, date '2024-01-01' + (i % 200), nullif(i % 12, 7) FROM generate_series(1, 120) i;
"""
# Values that the tables hold, in ascending order, and others.
VALUES = {
    "int": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "10", "13", "17", "21"],
    "bigint": ["0", "1", "4", "7", "12", "20", "1000", "3000000000", "5000000000", "9000000000"],
    "text": ["a", "ab", "b", "bc", "c", "ca", "d", "xy"],
    "numeric": ["0.00", "0.50", "0.75", "1.50", "2.00", "2.50", "3.25", "4.00"],
    "timestamptz": [f"2024-0{month}-1{day} 0{day}:30:00+00" for month in range(1, 8) for day in (1, 7)],
    "bool": ["false", "true"],
    "float8": ["0", "1.5", "4.5", "6", "7.5", "9"],
    "date": ["2024-01-06", "2024-01-11", "2024-01-21", "2024-02-10", "2024-03-01", "2024-03-31", "2024-04-20", "2024-05-20", "2024-06-29"],
}
STRANGE = {
    "int": ["99", "-1", "2147400000"],
    "bigint": ["-7", "9223372036854775807"],
    "text": ["", "ü", "Zed", "it''s", "x1", "%"],
    "numeric": ["-3.25", "100.00", "NaN"],
    "timestamptz": ["infinity", "2024-09-19 09:30:00+00"],
    "bool": ["true"],
    "float8": ["-2.25", "1e10", "NaN", "Infinity"],
    "date": ["2024-09-19", "1999-12-31"],
}

# Types of distribution columns, with values in ascending order, all different to the type.
KEY_TYPES = {
    "smallint": ["-3", "0", "1", "2", "5", "9", "100", "32767"],
    "bigint": ["-9000000000", "-1", "0", "1", "2", "7", "3000000000", "9000000000"],
    "numeric": ["-2.5", "0", "0.1", "1", "1.25", "3", "1000000", "1e20"],
    "numeric(8,2)": ["-2.50", "0.00", "0.10", "1.00", "1.25", "3.00", "1000.00", "99999.99"],
    "real": ["-2.5", "0", "0.1", "1", "1.25", "3", "1e10", "Infinity"],
    "float8": ["-2.5", "0", "0.1", "1", "1.25", "3", "1e100", "NaN"],
    "text": ["", "A", "a", "aB", "b", "ein langer Text, länger als zwanzig Zeichen", "ü", "日本"],
    "varchar(6)": ["", "A", "a", "aB", "abcdef", "b", "it''s", "ü"],
    "varchar": ["", "A", "a ", "aB", "abcdefghij", "b", "x%", "ü"],
    "char(4)": ["", "A", "a", "aB", "abcd", "b", "x", "ü"],
    "name": ["", "A", "a", "aB", "abcdefghij", "b", "x", "z"],
    '"char"': ["A", "B", "a", "b", "c", "x", "y", "z"],
    "bytea": ["", "\\x00", "\\x0001", "\\x01", "\\x616263", "\\x7f", "\\x80", "\\xff"],
    "bool": ["false", "true"],
    "date": ["-infinity", "1999-12-31", "2000-01-01", "2024-01-06", "2024-02-29", "2024-03-01", "2025-01-01", "infinity"],
    "time": ["00:00:00", "01:02:03", "01:02:03.5", "06:00:00", "12:00:00", "18:30:00", "23:59:59", "24:00:00"],
    "timetz": ["00:00:00+02", "01:00:00+00", "06:00:00-03", "12:00:00+00", "12:00:00-05", "18:30:00+00", "23:59:59-01", "23:59:59-08"],
    "timestamp": ["-infinity", "2023-12-31 23:59:59", "2024-01-01 00:00:00", "2024-01-01 00:00:00.25", "2024-02-29 12:00:00", "2024-03-31 02:30:00", "2024-12-31 00:00:00", "infinity"],
    "timestamp(0)": ["-infinity", "2023-12-31 23:59:59", "2024-01-01 00:00:00", "2024-01-01 00:00:01", "2024-02-29 12:00:00", "2024-03-31 02:30:00", "2024-12-31 00:00:00", "infinity"],
    "timestamptz": ["-infinity", "2023-12-31 23:59:59+00", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.25+00", "2024-02-29 12:00:00+00", "2024-03-31 02:30:00+00", "2024-12-31 00:00:00+00", "infinity"],
    "interval": ["-1 day", "00:00:00", "00:00:01", "01:00:00", "1 day 01:00:00", "3 days", "2 mons", "1 year"],
    "interval hour to minute": ["-01:00:00", "00:00:00", "00:01:00", "01:00:00", "05:30:00", "10:00:00", "12:12:00", "20:00:00"],
    "uuid": [f"{i:08x}-0000-4000-8000-0000000000{i:02x}" for i in (0, 1, 2, 15, 16, 127, 200, 255)],
    "inet": ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.1", "192.168.1.1/24", "192.168.1.2", "255.255.255.255", "::1", "fe80::1/64"],
    "cidr": ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "192.168.1.0/24", "192.168.1.2/32", "255.255.255.255/32", "::1/128", "fe80::/64"],
    "macaddr": [f"08:00:2b:01:02:{i:02x}" for i in (0, 1, 2, 15, 16, 127, 200, 255)],
    "macaddr8": [f"08:00:2b:01:02:03:04:{i:02x}" for i in (0, 1, 2, 15, 16, 127, 200, 255)],
    "oid": ["0", "1", "2", "5", "9", "100", "3000000000", "4294967295"],
    "pg_lsn": ["0/0", "0/1", "0/A0", "0/FFFFFFFF", "1/0", "1/2", "A/0", "FFFFFFFF/0"],
    "xid8": ["0", "1", "2", "5", "9", "100", "5000000000", "18446744073709551615"],
    "int4range": ["empty", "(,1)", "[1,2)", "[1,5)", "[1,)", "[2,3)", "[5,9)", "[9,)"],
    "jsonb": ["[]", "null", '"a"', '"b"', "0", "1.5", "[1]", '{"a": 1}'],
    "int[]": ["{}", "{NULL}", "{-1}", "{0}", "{1}", "{1,2}", "{1,NULL}", "{2}"],
    "text[]": ["{}", "{\"\"}", "{A}", "{a}", "{a,b}", "{\"it''s\"}", "{x,NULL}", "{ü}"],
    "varchar(3)[]": ["{}", "{\"\"}", "{A}", "{a}", "{a,b}", "{abc}", "{x,NULL}", "{ü}"],
    "key_domain": ["-3", "0", "1", "2", "5", "9", "100", "32767"],
    "key_text_domain": ["", "A", "a", "aB", "abc", "b", "x", "ü"],
    "key_row": ["(,)", "(0,)", "(0,a)", "(1,A)", "(1,a)", "(1,b)", "(2,)", "(3,\"x y\")"],
    'text COLLATE "de-x-icu"': ["", "a", "A", "ä", "b", "ß", "ü", "Z"],
    'varchar(6) COLLATE "C"': ["", "A", "B", "a", "aB", "b", "x", "z"],
    "text COLLATE blind": ["", "a", "b", "c", "d", "e", "f", "g"],
}
# min() and max() know these.
KEYS_WITH_EXTREMES = {
    "smallint", "bigint", "numeric", "numeric(8,2)", "real", "float8", "text", "varchar(6)", "varchar", "char(4)", "date", "time", "timetz", "timestamp",
    "timestamp(0)", "timestamptz", "interval", "interval hour to minute", "inet", "oid", "pg_lsn", "int[]", "text[]", "varchar(3)[]",
    "key_domain", "key_text_domain", 'text COLLATE "de-x-icu"', 'varchar(6) COLLATE "C"'}

TYPES = """
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE key_enum AS ENUM ('zero', 'one', 'two', 'three', 'b', 'a', 'x y', 'ü');
CREATE DOMAIN key_domain AS int CHECK (VALUE > -1000);
CREATE DOMAIN key_text_domain AS varchar(5);
CREATE TYPE key_row AS (x int, y text);
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN -1000 AND 2147400000);
"""


class World:
    """The small one."""

    def __init__(self):
        self.tables = dict(TABLES)
        self.values = dict(VALUES)
        self.strange = dict(STRANGE)
        self.ordered = {"int", "text", "numeric", "timestamptz", "date", "bigint", "float8"}
        self.key_type = "int"
        self.read = ["t1", "t1", "t2", "t2", "t3", "r1", "r2", "l1", "pt", "u1", "u2"]
        self.written = ["t1", "t1", "t2", "t3", "r1", "pt", "u1", "u2"]
        self.colocated = ["t1", "t2", "pt", "u1"]
        self.keyed = {"u1", "u2"}  # the first column is unique
        self.moving = {"t1", "t2", "t3", "pt", "u1"}  # the distribution column changes; its values differ where it is unique
        self.parts = {}  # table -> columns with parts: (column, {part: type})
        self.functions = []  # (call with {} for arguments, argument types, result types): in FROM
        self.scalars = []  # (name, argument type, result type)
        self.null_keys = False
        self.explicit_collations = []
        self.roles = []
        self.settings = SETTINGS
        self.blind = False  # texts that differ in case only may stand for each other
        self.more_lateral = False
        self.sampled = set(self.tables)
        self.features = ()

    def setup(self):
        return SETUP

    def distribute(self):
        return DISTRIBUTE

    def fill(self):
        return FILL

    def copied(self):
        """Tables whose rows are filled in on the plain side and copied."""
        return [name for name in self.tables if name in TABLES]

    def clean_up(self):
        return ""


# Settings that change answers: in force on every node.
SETTINGS = [
    "SET TimeZone = 'UTC'", "SET TimeZone = 'America/St_Johns'", "SET TimeZone = 'Asia/Tokyo'",
    "SET DateStyle = 'SQL, DMY'", "SET DateStyle = 'ISO, MDY'", "SET IntervalStyle = 'iso_8601'",
    "SET extra_float_digits = 0", "SET extra_float_digits = 1", "SET enable_hashagg = off", "SET enable_hashjoin = off",
    "SET enable_nestloop = off", "SET enable_hashagg = on; SET enable_hashjoin = on; SET enable_nestloop = on",
]
MORE_SETTINGS = SETTINGS + [
    "SET bytea_output = 'escape'", "SET bytea_output = 'hex'", "SET transform_null_equals = on", "SET transform_null_equals = off",
    "SET array_nulls = off", "SET array_nulls = on", "SET quote_all_identifiers = on", "SET quote_all_identifiers = off",
    "SET standard_conforming_strings = off", "SET standard_conforming_strings = on", "SET xmlbinary = 'hex'",
    "SET join_collapse_limit = 1", "RESET join_collapse_limit", "SET from_collapse_limit = 1", "SET geqo_threshold = 2", "RESET geqo_threshold",
    "SET plan_cache_mode = 'force_generic_plan'", "SET plan_cache_mode = 'force_custom_plan'", "RESET plan_cache_mode",
    "SET default_transaction_isolation = 'repeatable read'", "RESET default_transaction_isolation", "SET work_mem = '64kB'", "RESET work_mem",
    "SET enable_material = off", "SET enable_sort = off", "SET enable_mergejoin = off", "SET enable_sort = on; SET enable_mergejoin = on",
    "SET citus.max_adaptive_executor_pool_size = 1", "RESET citus.max_adaptive_executor_pool_size",
    "SET citus.enable_local_execution = off", "RESET citus.enable_local_execution", "SET citus.multi_shard_modify_mode = 'sequential'",
    "RESET citus.multi_shard_modify_mode", "SET citus.enable_binary_protocol = off", "RESET citus.enable_binary_protocol",
    "SET citus.executor_slow_start_interval = 0", "RESET citus.executor_slow_start_interval", "SET citus.task_assignment_policy = 'round-robin'",
    "SET constraint_exclusion = off", "SET enable_partition_pruning = off", "SET enable_partitionwise_join = on", "SET row_security = on",
    "SET default_text_search_config = 'german'", "RESET default_text_search_config", "RESET DateStyle; RESET TimeZone; RESET IntervalStyle",
]
# A Varied world has all of them but for those left out.
FEATURES = ("keys", "collations", "replicas", "lateral", "arrays", "parts", "settings", "roles", "late", "foreign", "nulls")


class Varied(World):
    """Every age has another type of distribution columns; roles and servers carry the suffix, for they are not in a schema."""

    def __init__(self, seed, age, features, suffix, plain_port):
        super().__init__()
        self.rnd = random.Random(f"{seed} {age}")
        self.features = features
        self.suffix = suffix
        self.plain_port = plain_port
        names = list(KEY_TYPES)
        self.key_type = names[(seed * 7 + age) % len(names)]
        self.definitions = [TYPES]
        self.spread = []
        self.rows = []
        self.late_number = 0
        self.views = []
        if "keys" in features:
            self.add_keys()
        if "collations" in features:
            self.add_collations()
        if "replicas" in features:
            self.add_replicas()
        if "arrays" in features:
            self.add_arrays()
        if "foreign" in features:
            self.add_foreign()
        if "roles" in features:
            self.add_roles()
        self.more_lateral = "lateral" in features
        if "settings" in features:
            self.settings = MORE_SETTINGS

    def add_keys(self):
        type_ = self.key_type
        values = KEY_TYPES[type_]
        self.values["key"] = values
        # Nothing that the type refuses: only what few rows have.
        self.strange["key"] = values[-1:]
        self.blind = "blind" in type_
        if type_ in KEYS_WITH_EXTREMES:
            self.ordered.add("key")
        self.definitions.append(f"""
CREATE TABLE k1 (k {type_}, a int, b text);
CREATE TABLE k2 (a int, k {type_}, g date);
CREATE TABLE ku (k {type_} PRIMARY KEY, a int, b text);
CREATE TABLE kr (k {type_}, n int);
""")
        self.spread.append("""
SELECT create_distributed_table('k1', 'k', shard_count => 5, colocate_with => 'none');
SELECT create_distributed_table('k2', 'k', colocate_with => 'k1');
SELECT create_distributed_table('ku', 'k', colocate_with => 'k1');
SELECT create_reference_table('kr');
""")
        array = "ARRAY[" + ", ".join(f"'{value}'" for value in values) + f"]::{self.cast_type()}[]"
        count = len(values)
        if type_.endswith("[]"):
            array = "(ARRAY[" + ", ".join(f"'{value}'" for value in values) + "]::text[])"
        value = f"({array})[1 + i % {count}]" + (f"::{self.cast_type()}" if type_.endswith("[]") else "")
        self.rows += [
            f"INSERT INTO k1 SELECT {value}, nullif(i % 11, 3), nullif(substr('abcabcxyz', i % 10, 2), '') FROM generate_series(1, 60) i",
            f"INSERT INTO k2 SELECT nullif(i % 7, 2), {value}, date '2024-01-01' + (i % 30) * 5 FROM generate_series(1, 40) i",
            f"INSERT INTO ku SELECT {value}, nullif(i % 9, 5), 'u' || i FROM generate_series(1, {max(1, count - 2)}) i",
            f"INSERT INTO kr SELECT {value}, i FROM generate_series(1, {count}) i"]
        self.tables.update({
            "k1": [("k", "key"), ("a", "int"), ("b", "text")], "k2": [("k", "key"), ("a", "int"), ("g", "date")],
            "ku": [("k", "key"), ("a", "int"), ("b", "text")], "kr": [("k", "key"), ("n", "int")]})
        self.read += ["k1", "k1", "k1", "k2", "k2", "k2", "ku", "ku", "kr"]
        self.written += ["k1", "k1", "k2", "ku", "ku", "kr"]
        self.colocated += ["k1", "k2", "ku"]
        self.keyed.add("ku")
        self.moving |= {"k1", "k2"}

    def cast_type(self):
        """The key's type where an expression may name one."""
        return self.key_type.split(" COLLATE ")[0]

    def add_collations(self):
        """dtext sorts as in a German dictionary; ntext has no case."""
        for name, values in (("dtext", ["a", "A", "ä", "b", "B", "ß", "u", "ü", "Z"]), ("ntext", ["a", "b", "c", "d", "e"])):
            self.values[name] = values
            self.strange[name] = ["", "Zed", "%"]
        self.values["dtext"] = ["a", "A", "ä", "b", "ß", "u", "ü", "z", "Z"]
        self.ordered.add("dtext")
        self.blind = True
        self.definitions.append("""
CREATE TABLE c1 (k int, s text COLLATE "de-x-icu", n text COLLATE blind, b text);
CREATE TABLE c2 (k text COLLATE "de-x-icu", a int, s text COLLATE "de-x-icu");
""")
        self.spread.append("""
SELECT create_distributed_table('c1', 'k', colocate_with => 't1');
SELECT create_distributed_table('c2', 'k', shard_count => 3, colocate_with => 'none');
""")
        self.rows += [
            "INSERT INTO c1 SELECT i % 20, nullif(substr('aAäbBßuüZ', i % 10, 1), ''), nullif(substr('aAbBcCdDe', i % 10, 1), ''), chr(97 + i % 9) FROM generate_series(1, 60) i",
            "INSERT INTO c2 SELECT substr('aAäbBßuüZ', 1 + i % 9, 1), i % 7, nullif(substr('aAäbBßuüZ', i % 10, 1), '') FROM generate_series(1, 40) i"]
        self.tables.update({"c1": [("k", "int"), ("s", "dtext"), ("n", "ntext"), ("b", "text")],
                            "c2": [("k", "dtext"), ("a", "int"), ("s", "dtext")]})
        self.read += ["c1", "c1", "c2", "c2"]
        self.written += ["c1", "c2"]
        self.colocated.append("c1")
        self.moving.add("c1")
        self.explicit_collations = ['"de-x-icu"', '"C"', '"en-x-icu"']

    def add_replicas(self):
        """Shards with two placements."""
        self.definitions.append("CREATE TABLE w1 (k int, a int, b text);\nCREATE TABLE w2 (k int PRIMARY KEY, x bigint, b text);")
        self.spread.append("""
SET citus.shard_replication_factor = 2;
SELECT create_distributed_table('w1', 'k', shard_count => 4, colocate_with => 'none');
SELECT create_distributed_table('w2', 'k', colocate_with => 'w1');
RESET citus.shard_replication_factor;
""")
        self.rows += [
            "INSERT INTO w1 SELECT i % 25, nullif(i % 11, 3), nullif(substr('abcabcxyz', i % 10, 2), '') FROM generate_series(1, 60) i",
            "INSERT INTO w2 SELECT i, i * 1000, 'w' || i % 7 FROM generate_series(1, 30) i"]
        self.tables.update({"w1": [("k", "int"), ("a", "int"), ("b", "text")], "w2": [("k", "int"), ("x", "bigint"), ("b", "text")]})
        self.read += ["w1", "w1", "w2"]
        self.written += ["w1", "w1", "w2"]
        self.keyed.add("w2")

    def add_arrays(self):
        """Columns with parts; in expressions the parts are columns too."""
        self.definitions.append("CREATE TABLE a1 (k int, v int[], p pair, m pair[], w percent, j jsonb);")
        self.spread.append("SELECT create_distributed_table('a1', 'k', colocate_with => 't1');")
        self.rows.append(
            "INSERT INTO a1 SELECT i % 20, CASE WHEN i % 6 > 0 THEN ARRAY[i % 7, nullif(i % 5, 2), i % 3] END, CASE WHEN i % 7 > 0 THEN (i % 9, chr(97 + i % 5))::pair END, "
            "CASE WHEN i % 5 > 0 THEN ARRAY[(i % 4, 'a')::pair, (i % 3, chr(97 + i % 4))::pair] END, i % 13, jsonb_build_object('a', i % 5, 'b', chr(97 + i % 3)) "
            "FROM generate_series(1, 50) i")
        self.tables["a1"] = [("k", "int"), ("v", "ints"), ("p", "pair"), ("m", "pairs"), ("w", "int"), ("j", "jsonb")]
        self.values.update({"ints": ["{0,1,2}", "{1,NULL}", "{2,3}", "{4}"], "pair": ["(1,a)", "(2,b)", "(3,)"],
                            "pairs": ['{"(1,a)","(2,b)"}', '{"(3,c)"}'], "jsonb": ['{"a": 1}', '{"a": 2, "b": "b"}', "3"]})
        self.strange.update({"ints": ["{}"], "pair": ["(,)"], "pairs": ["{}"], "jsonb": ["null"]})
        self.read += ["a1", "a1", "a1"]
        self.written += ["a1", "a1"]
        self.colocated.append("a1")
        self.moving.add("a1")
        self.parts["a1"] = [("{}.v[1]", "int"), ("{}.v[2]", "int"), ("({}.p).x", "int"), ("({}.p).y", "text"), ("({}.m[1]).x", "int"),
                            ("({}.m[2]).y", "text"), ("({}.j ->> 'b')", "text"), ("array_length({}.v, 1)", "int")]

    def add_foreign(self):
        """Tables of another server: the same on both sides, only read."""
        server = f"differential{self.suffix}"
        self.definitions.append(f"""
CREATE TABLE far_rows (k int, a int, b text);
CREATE FOREIGN TABLE f1 (k int, a int, b text) SERVER {server} OPTIONS (schema_name 'plain{self.suffix}', table_name 'far_rows');
""")
        self.rows.append("INSERT INTO far_rows SELECT i % 23, nullif(i % 8, 3), nullif(substr('abcabcxyz', i % 10, 2), '') FROM generate_series(1, 30) i")
        self.tables["f1"] = [("k", "int"), ("a", "int"), ("b", "text")]
        self.read += ["f1", "f1", "f1"]

    def add_roles(self):
        """One that may everything, one that may little; a table whose rows name one, and a view that asks who looks."""
        self.definitions.append(f"""
CREATE TABLE o1 (k int, a int, b text, who text DEFAULT current_user);
CREATE VIEW o2 AS SELECT k, a, b FROM o1 WHERE who = current_user OR a < 3;
GRANT USAGE ON SCHEMA {{schema}} TO writer{self.suffix}, reader{self.suffix};
GRANT ALL ON ALL TABLES IN SCHEMA {{schema}} TO writer{self.suffix};
GRANT SELECT ON t1, t2, r1, pt, o2 TO reader{self.suffix};
GRANT SELECT (k, a), UPDATE (a) ON u1 TO reader{self.suffix};
GRANT INSERT, SELECT ON t3 TO reader{self.suffix};
GRANT DELETE, SELECT ON u2 TO reader{self.suffix};
""")
        self.spread.append("SELECT create_distributed_table('o1', 'k', colocate_with => 't1');")
        self.rows.append(f"INSERT INTO o1 SELECT i % 20, nullif(i % 9, 5), chr(97 + i % 6), CASE i % 3 WHEN 0 THEN 'writer{self.suffix}' WHEN 1 THEN 'reader{self.suffix}' ELSE 'postgres' END "
                         "FROM generate_series(1, 40) i")
        self.tables["o1"] = [("k", "int"), ("a", "int"), ("b", "text"), ("who", "text")]
        self.read.append("o1")
        if "late" in self.features:  # views are only where they were made
            self.tables["o2"] = [("k", "int"), ("a", "int"), ("b", "text")]
            self.views.append("o2")
            self.read += ["o2", "o2"]
        self.written.append("o1")
        self.colocated.append("o1")
        self.roles = [f"writer{self.suffix}", f"reader{self.suffix}"]

    def globals(self):
        """What is there once for both sides: (on the plain side's server, on the coordinator)."""
        plain, cluster = [], []
        for role in self.roles:
            cluster.append(f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        if "foreign" in self.features:
            cluster.append("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
            cluster.append(f"DROP SERVER IF EXISTS differential{self.suffix} CASCADE")
            cluster.append(f"CREATE SERVER differential{self.suffix} FOREIGN DATA WRAPPER postgres_fdw "
                           f"OPTIONS (host '127.0.0.1', port '{self.plain_port}', dbname 'postgres', application_name 'differential')")
            cluster.append(f"CREATE USER MAPPING FOR PUBLIC SERVER differential{self.suffix} OPTIONS (user 'postgres', password_required 'false')")
        return plain, cluster

    def clean_up(self):
        statements = []
        if "foreign" in self.features:
            statements.append(f"DROP SERVER IF EXISTS differential{self.suffix} CASCADE")
        for role in self.roles:
            statements.append(f"DROP ROLE IF EXISTS {role}")
        return "; ".join(statements)

    def setup(self):
        return SETUP + "\n".join(self.definitions)

    def distribute(self):
        return DISTRIBUTE + "\n".join(self.spread)

    def fill(self):
        return FILL + ";\n".join(self.rows) + ";"

    def copied(self):
        return [name for name in self.tables if name not in self.views and name != "f1"] + (["far_rows"] if "foreign" in self.features else [])

    # --- objects that come late --------------------------------------------------------------------

    def late(self, generator):
        """SQL that makes a new object in both schemas, after which statements use it; None when there are enough."""
        self.late_number += 1
        name = f"{self.late_number}"
        kind = generator.rnd.choice(["view", "view", "function", "inlined", "scalar", "column", "plpgsql", "index"])
        if kind == "view":
            sql, types = generator.select(1)
            self.tables[f"v{name}"] = [(f"c{i}", type_) for i, type_ in enumerate(types)]
            self.views.append(f"v{name}")
            self.read += [f"v{name}"] * 2
            # A view's own text has names of columns that must differ.
            return f"CREATE VIEW v{name} AS {sql}", lambda: self.forget(f"v{name}")
        if kind in ("function", "inlined"):
            sql, types = generator.select(1)
            if "key" in types or any(type_ not in VALUES for type_ in types):
                return None, None
            columns = ", ".join(f"o{i} {type_}" for i, type_ in enumerate(types))
            strict = "STABLE" if kind == "inlined" else "VOLATILE"
            entry = (f"f{name}", [(f"o{i}", type_) for i, type_ in enumerate(types)])
            self.functions.append(entry)
            return (f"CREATE FUNCTION f{name}(p int) RETURNS TABLE ({columns}) LANGUAGE sql {strict} AS $$ SELECT * FROM ({sql}) AS inner_rows WHERE p > 3 $$",
                    lambda: self.functions.remove(entry))
        if kind in ("scalar", "plpgsql"):
            body = generator.rnd.choice(["$1 + 1", "mod($1, 3)", "coalesce($1, 7)", "CASE WHEN $1 > 4 THEN $1 END"])
            volatility = generator.rnd.choice(["IMMUTABLE", "STABLE"])
            entry = (f"g{name}", "int", "int")
            self.scalars.append(entry)
            if kind == "scalar":
                return f"CREATE FUNCTION g{name}(int) RETURNS int LANGUAGE sql {volatility} AS $$ SELECT {body} $$", lambda: self.scalars.remove(entry)
            return (f"CREATE FUNCTION g{name}(int) RETURNS int LANGUAGE plpgsql {volatility} AS $$ BEGIN RETURN {body}; END $$",
                    lambda: self.scalars.remove(entry))
        table = generator.rnd.choice([t for t in ("t2", "k1", "k2", "w1", "u1", "r1") if t in self.tables])
        if kind == "column":
            type_, default = generator.rnd.choice([("int", "3"), ("text", "'late'"), ("date", "'2024-03-01'"), ("bigint", "12")])
            column = f"n{name}"
            self.tables[table] = self.tables[table] + [(column, type_)]
            return f"ALTER TABLE {table} ADD COLUMN {column} {type_} DEFAULT {default}", lambda: self.tables.__setitem__(table, self.tables[table][:-1])
        return f"CREATE INDEX ON {table} ({generator.rnd.choice(self.tables[table])[0]})", lambda: None

    def forget(self, view):
        del self.tables[view]
        self.views.remove(view)
        self.read = [name for name in self.read if name != view]
