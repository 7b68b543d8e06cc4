"""Random but valid statements over the differential schema.

Statements are built top-down from typed parts: a scope is the list of columns that an expression may
use, every expression generator returns SQL text of a known type. Whatever is generated is valid
SQL with one right answer on any PostgreSQL server: no volatile functions, no expression that
depends on evaluation order to fail (division, casts that may overflow), LIMIT only under an ORDER BY
over every output column.
"""

import random

from world import VALUES

# Columns whose values are like those of no other one.
UNLIKE = {"d", "f", "y", "c"}


class Column:
    def __init__(self, sql, type_):
        self.sql = sql
        self.type = type_


class Generator:
    def __init__(self, seed, world):
        self.rnd = random.Random(seed)
        self.world = world
        self.names = 0
        self.parameters = None  # a list: some literals become parameters of a prepared statement

    def chance(self, probability):
        return self.rnd.random() < probability

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    # --- expressions -------------------------------------------------------------------------

    def literal(self, type_):
        if self.parameters is not None and len(self.parameters) < 6 and self.chance(0.4):
            parameters, self.parameters = self.parameters, None
            parameters.append((type_, self.literal(type_)))
            self.parameters = parameters
            return f"${len(parameters)}"
        rnd = self.rnd
        if self.chance(0.02):
            return f"NULL::{self.sql_type(type_)}"
        return self.printed(type_, rnd.choice(self.world.values[type_] if self.chance(0.93) else self.world.strange[type_]))

    def sql_type(self, type_):
        return {"key": self.world.key_type.split(" COLLATE ")[0], "dtext": "text", "ntext": "text", "ints": "int[]", "pairs": "pair[]"}.get(type_, type_)

    def key(self, type_):
        """A literal for a distribution column in a new row: where NULL is refused there, a plain table allows it."""
        if self.world.null_keys and self.chance(0.1):
            return f"NULL::{self.sql_type(type_)}"
        count = len(self.parameters or [])
        while True:
            value = self.literal(type_)
            given = self.parameters[count][1] if len(self.parameters or []) > count else value
            if not given.startswith("NULL"):
                return value
            del (self.parameters or [])[count:]

    def printed(self, type_, value):
        if type_ not in VALUES:
            return f"'{value}'::{self.sql_type(type_)}"
        if type_ in ("int", "bool"):
            return value
        if type_ == "bigint":
            return f"({value})::bigint"
        if type_ in ("numeric", "float8") and value[0] not in "-NI":
            return f"{value}::{type_}"
        return f"'{value}'::{type_}"

    def bounds(self, type_):
        """Two literals, the smaller one first."""
        if self.chance(0.05):
            return self.literal(type_), self.literal(type_)
        values = self.world.values[type_]
        first, last = sorted(self.rnd.sample(range(len(values)), 2))
        return self.printed(type_, values[first]), self.printed(type_, values[last])

    def leaf(self, scope, type_):
        fitting = [column for column in scope if column.type == type_]
        if fitting and self.chance(0.85):
            return self.rnd.choice(fitting).sql
        return self.literal(type_)

    def expr(self, scope, type_, depth=2):
        """An expression of the type over the scope's columns."""
        rnd = self.rnd
        if depth <= 0 or self.chance(0.45):
            return self.leaf(scope, type_)
        sub = lambda t: self.expr(scope, t, depth - 1)
        common = [
            lambda: f"coalesce({sub(type_)}, {self.literal(type_)})",
            lambda: f"CASE WHEN {sub('bool')} THEN {sub(type_)} ELSE {sub(type_)} END",
            lambda: f"nullif({sub(type_)}, {self.literal(type_)})",
        ]
        own = {
            "int": [lambda: f"({self.leaf(scope, 'int')} + {rnd.randint(0, 9)})",
                    lambda: f"(mod({sub('int')}, {rnd.randint(2, 9)}))",
                    lambda: f"length({sub('text')})",
                    lambda: f"extract(month from {sub('date')})::int"],
            "bigint": [lambda: f"({self.leaf(scope, 'bigint')} - 3)", lambda: f"{sub('int')}::bigint"],
            "text": [lambda: f"lower({sub('text')})", lambda: f"({sub('text')} || {sub('text')})",
                     lambda: f"substr({sub('text')}, 1, 2)", lambda: f"{sub('int')}::text",
                     lambda: f"{self.leaf(scope, 'timestamptz')}::text",
                     lambda: f"{self.leaf(scope, 'numeric')}::text"],
            "numeric": [lambda: f"({self.leaf(scope, 'numeric')} * {self.literal('numeric')})",
                        lambda: f"round({sub('numeric')}, 1)", lambda: f"{sub('int')}::numeric"],
            "float8": [lambda: f"{sub('int')}::float8", lambda: f"abs({self.leaf(scope, 'float8')})"],
            "bool": [lambda: self.predicate(scope, depth - 1)],
            "date": [lambda: f"({sub('date')} + {rnd.randint(0, 40)})",
                     lambda: f"({self.leaf(scope, 'timestamptz')} AT TIME ZONE 'UTC')::date"],
            "timestamptz": [lambda: f"date_trunc('month', {sub('timestamptz')})",
                            lambda: f"({self.leaf(scope, 'timestamptz')} + interval '1 day')"],
        }
        own["dtext"] = [lambda: f"lower({sub('dtext')})", lambda: f"({sub('dtext')} || {self.leaf(scope, 'text')})"]
        if type_ == "int" and self.world.scalars and self.chance(0.3):
            return f"{rnd.choice(self.world.scalars)[0]}({sub('int')})"
        if type_ == "text" and self.chance(0.05):
            rows = [column.sql.split(".")[0] for column in scope if column.sql.count(".") == 1 and column.sql[0] not in "(gz" and self.world.more_lateral]
            if rows:
                return f"{rnd.choice(rows)}::text"
        return rnd.choice(common + own.get(type_, []) * 2)()

    def predicate(self, scope, depth=2):
        rnd = self.rnd
        if depth > 0 and self.chance(0.3):
            return (f"({self.predicate(scope, depth - 1)} {rnd.choice(['AND', 'OR', 'OR'])} "
                    f"{self.predicate(scope, depth - 1)})")
        if depth > 0 and self.chance(0.08):
            return f"NOT ({self.predicate(scope, depth - 1)})"
        type_ = rnd.choice([column.type for column in scope] or ["int"])
        fitting = [column.sql for column in scope if column.type == type_]
        left = rnd.choice(fitting) if fitting and self.chance(0.98) else self.literal(type_)
        kind = rnd.random()
        if type_ == "bool":
            return f"{left} IS {rnd.choice(['TRUE', 'NOT TRUE', 'FALSE', 'NOT FALSE', 'NULL', 'NOT NULL'])}"
        if kind < 0.12:
            return f"{left} IS {rnd.choice(['', 'NOT ', 'NOT '])}NULL"
        if kind < 0.25:
            values = ", ".join(self.literal(type_) for _ in range(rnd.randint(1, 6)))
            return f"{left} {rnd.choice(['', 'NOT '])}IN ({values})"
        if type_ in ("text", "dtext") and self.world.explicit_collations and kind < 0.3:
            return f"{left} COLLATE {rnd.choice(self.world.explicit_collations)} {rnd.choice(['<', '>=', '='])} {self.literal(type_)}"
        if type_ == "key" and kind < 0.34 and self.parameters is None:
            return f"{left} {rnd.choice(['=', '<', '>=', '='])} '{rnd.choice(self.world.values[type_])}'"
        if kind < 0.32 and type_ == "text":
            return f"{left} LIKE {rnd.choice(['a%', '%b%', '_', '%']).__repr__()}"
        if kind < 0.42:
            low, high = self.bounds(type_)
            return f"{left} BETWEEN {low} AND {high}"
        if kind < 0.48:
            return f"{left} IS {rnd.choice(['', 'NOT '])}DISTINCT FROM {self.leaf(scope, type_)}"
        operator = rnd.choice(["=", "<", ">", "<=", ">=", "<=", ">=", "<>", "<>", "<>"])
        right = self.expr(scope, type_, depth - 1) if self.chance(0.5) else self.literal(type_)
        if right == left:
            operator = "="
        return f"{left} {operator} {right}"

    # --- FROM --------------------------------------------------------------------------------

    def table(self, names=None):
        if names is None and self.world.functions and self.chance(0.06):
            name, outputs = self.rnd.choice(self.world.functions)
            alias = self.name("h")
            return f"{name}({self.rnd.randint(0, 9)}) AS {alias}", [Column(f"{alias}.{column}", type_) for column, type_ in outputs]
        name = self.rnd.choice(names or self.world.read)
        alias = self.name("q")
        columns = [Column(f"{alias}.{column}", type_) for column, type_ in self.world.tables[name]]
        columns += [Column(part.format(alias), type_) for part, type_ in self.world.parts.get(name, [])]
        return f"{name} AS {alias}", columns

    def from_item(self, depth, names):
        if self.chance(0.05):
            alias = self.name("g")
            return f"generate_series(1, {self.rnd.randint(1, 12)}) AS {alias}(k)", [Column(f"{alias}.k", "int")]
        if self.chance(0.05):
            alias = self.name("z")
            rows = ", ".join(f"({self.literal('int')}::int, {self.literal('text')})" for _ in range(self.rnd.randint(1, 5)))
            return (f"(VALUES {rows}) AS {alias}(k, b)",
                    [Column(f"{alias}.k", "int"), Column(f"{alias}.b", "text")])
        if depth > 0 and self.chance(0.2):
            alias = self.name("s")
            sql, types = self.select(depth - 1)
            return f"({sql}) AS {alias}", [Column(f"{alias}.c{i}", t) for i, t in enumerate(types)]
        item, columns = self.table(names)
        if self.chance(0.03) and item.split()[0] in self.world.sampled:
            item += f" TABLESAMPLE {self.rnd.choice(['BERNOULLI', 'SYSTEM'])} (100)"
        return item, columns

    def join_condition(self, left, right):
        rnd = self.rnd
        keys = [(l, r) for l in left for r in right if l.type == r.type and
                l.sql.endswith(".k") and r.sql.endswith(".k")]
        pairs = [(l, r) for l in left for r in right if l.type == r.type and l.type != "bool"]
        if not keys or not self.chance(0.8):
            # Columns that have values in common, mostly.
            alike = [(l, r) for l, r in pairs if not {part.sql.split(".")[-1] for part in (l, r)} & UNLIKE]
            pairs = alike if alike and self.chance(0.9) else pairs
        if keys and self.chance(0.8):
            l, r = rnd.choice(keys)
        elif pairs:
            l, r = rnd.choice(pairs)
        else:
            return None
        condition = f"{l.sql} = {r.sql}"
        if self.chance(0.08):
            condition += f" AND {self.predicate(left + right, 0)}"
        return condition

    def from_clause(self, depth, names=None):
        sql, scope = self.from_item(depth, names)
        for _ in range(self.rnd.choice([0, 0, 0, 1, 1, 1, 2])):
            if depth > 0 and self.chance(0.08):
                item, columns = self.lateral(scope)
                sql = f"{sql} {self.rnd.choice(['JOIN', 'LEFT JOIN'])} LATERAL {item} ON true"
                scope = scope + columns
                continue
            item, columns = self.from_item(depth, names)
            condition = self.join_condition(scope, columns)
            if condition is None:
                continue
            kind = self.rnd.choice(["JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            if kind == "FULL JOIN":
                condition = condition.split(" AND ")[0]
            sql = f"{sql} {kind} {item} ON {condition}"
            scope = scope + columns
        return sql, scope

    def lateral(self, scope):
        """A subquery over the columns left of it, with a total order under its LIMIT."""
        if self.world.more_lateral and self.chance(0.4):
            return self.lateral_values(scope)
        item, inner = self.table()
        alias = self.name("n")
        pairs = [(l, r) for l in scope for r in inner if l.type == r.type and l.type != "bool"]
        keyed = [pair for pair in pairs if pair[0].sql.endswith(".k") and pair[1].sql.endswith(".k")]
        where = ""
        if pairs:
            l, r = self.rnd.choice(keyed if keyed and self.chance(0.6) else pairs)
            where = f" WHERE {l.sql} = {r.sql}"
        column = self.rnd.choice(inner)
        if self.chance(0.5):
            sql = f"SELECT count(*) AS c0, max({inner[0].sql}) AS c1 FROM {item}{where}"
            types = ["bigint", inner[0].type]
        else:
            sql = (f"SELECT {column.sql} AS c0, {inner[0].sql} AS c1 FROM {item}{where} "
                   f"ORDER BY 1, 2 LIMIT {self.rnd.randint(1, 4)}")
            types = [column.type, inner[0].type]
        return f"({sql}) AS {alias}", [Column(f"{alias}.c{i}", t) for i, t in enumerate(types)]

    def lateral_values(self, scope):
        """Rows made of the columns left of it: a set-returning function, or VALUES."""
        alias = self.name("j")
        integers = [column.sql for column in scope if column.type == "int"]
        column = self.rnd.choice(scope)
        kind = self.rnd.random()
        if kind < 0.3 and integers:
            return f"generate_series(0, least({self.rnd.choice(integers)}, 3)) AS {alias}(k)", [Column(f"{alias}.k", "int")]
        if kind < 0.6 and integers:
            both = self.rnd.choice(integers), self.rnd.choice(integers)
            return f"unnest(ARRAY[{both[0]}, {both[1]}, 2]) AS {alias}(k)", [Column(f"{alias}.k", "int")]
        if kind < 0.8:
            return f"(SELECT {column.sql} AS c0, coalesce({self.leaf(scope, 'int')}, 0) AS c1) AS {alias}", [Column(f"{alias}.c0", column.type), Column(f"{alias}.c1", "int")]
        return (f"(VALUES ({column.sql}, 1), ({column.sql}, {self.leaf(scope, 'int')})) AS {alias}(c0, c1)",
                [Column(f"{alias}.c0", column.type), Column(f"{alias}.c1", "int")])

    def scalar_subquery(self, scope):
        """A correlated value for the select list."""
        item, inner = self.table()
        pairs = [(l, r) for l in scope for r in inner if l.type == r.type and l.type != "bool"]
        if not pairs:
            return None
        l, r = self.rnd.choice(pairs)
        fitting = [c for c in inner if c.type in self.world.ordered]
        if not fitting:
            return None
        column = self.rnd.choice(fitting)
        kind = self.rnd.choice(["count", "min", "max"])
        return (f"(SELECT {kind}({column.sql}) FROM {item} WHERE {l.sql} = {r.sql})",
                "bigint" if kind == "count" else column.type)

    # --- sublinks ----------------------------------------------------------------------------

    def sublink(self, scope, depth):
        rnd = self.rnd
        item, inner = self.table()
        kind = rnd.random()
        where = self.predicate(inner, 1)
        pairs = [(l, r) for l in scope for r in inner if l.type == r.type and l.type != "bool"]
        if pairs and self.chance(0.7):
            keyed = [p for p in pairs if p[0].sql.endswith(".k") and p[1].sql.endswith(".k")]
            l, r = rnd.choice(keyed if keyed and self.chance(0.6) else pairs)
            where = f"{l.sql} = {r.sql} AND {where}" if self.chance(0.5) else f"{l.sql} = {r.sql}"
        if kind < 0.4:
            return f"{rnd.choice(['', '', 'NOT '])}EXISTS (SELECT 1 FROM {item} WHERE {where})"
        if kind < 0.7 and pairs:
            l, r = rnd.choice(pairs)
            return f"{l.sql} {rnd.choice(['', 'NOT '])}IN (SELECT {r.sql} FROM {item} WHERE {self.predicate(inner, 1)})"
        fitting = [c for c in inner if c.type in self.world.ordered]
        if not fitting:
            return f"EXISTS (SELECT 1 FROM {item} WHERE {where})"
        column = rnd.choice(fitting)
        outer = self.leaf(scope, column.type)
        return f"{outer} {rnd.choice(['=', '<', '>='])} (SELECT {rnd.choice(['min', 'max'])}({column.sql}) FROM {item} WHERE {where})"

    # --- SELECT ------------------------------------------------------------------------------

    def aggregate(self, scope):
        rnd = self.rnd
        column = rnd.choice(scope)
        distinct = "DISTINCT " if self.chance(0.15) else ""
        filter_ = f" FILTER (WHERE {self.predicate(scope, 0)})" if self.chance(0.15) else ""
        options = [("count(*)", "bigint"), (f"count({distinct}{column.sql})", "bigint")]
        if column.type in self.world.ordered:
            options += [(f"min({column.sql})", column.type), (f"max({column.sql})", column.type)]
        if column.type == "int":
            options += [(f"sum({distinct}{column.sql})", "bigint"), (f"avg({column.sql})", "numeric"),
                        (f"bit_or({column.sql})", "int"), (f"round(stddev({column.sql}), 6)", "numeric"),
                        (f"array_length(array_agg({column.sql}), 1)", "int")]
        if column.type in ("bigint", "numeric"):
            options += [(f"sum({column.sql})", "numeric"), (f"avg({distinct}{column.sql})", "numeric"),
                        (f"round(var_pop({column.sql}), 6)", "numeric")]
        if column.type == "bool":
            options += [(f"bool_or({column.sql})", "bool"), (f"every({column.sql})", "bool")]
        if column.type == "key":
            options += [(f"(array_agg({column.sql} ORDER BY {column.sql}))[1]", "key")] * (not self.world.key_type.endswith("[]"))
        if column.type == "dtext":
            options += [(f"string_agg({column.sql}, ',' ORDER BY {column.sql})", "dtext")]
        if column.type == "text":
            options += [(f"string_agg({column.sql}, ',' ORDER BY {column.sql})", "text")]
        sql, type_ = rnd.choice(options)
        if filter_ and not sql.startswith(("round", "array_length")):
            sql += filter_
        return sql, type_

    def window(self, scope):
        rnd = self.rnd
        partition = rnd.choice(scope).sql
        order = ", ".join(column.sql for column in scope)
        kind = rnd.choice(["count(*)", "rank()", "dense_rank()", "row_number()"])
        return f"{kind} OVER (PARTITION BY {partition} ORDER BY {order})", "bigint"

    def pinned(self, type_):
        """A condition for a distribution column: one shard, or a few."""
        if type_ == "key" and self.parameters is None and self.chance(0.4):
            return f"= '{self.rnd.choice(self.world.values[type_])}'"
        if self.world.null_keys and self.chance(0.08):
            return "IS NULL"
        if self.chance(0.6):
            return f"= {self.literal(type_)}"
        return f"IN ({', '.join(self.literal(type_) for _ in range(self.rnd.randint(2, 5)))})"

    def where(self, scope, depth, probability=0.4):
        parts = []
        if self.chance(probability):
            parts.append(self.predicate(scope))
        if self.chance(0.15):
            keyed = [c for c in scope if c.sql.endswith((".k", ".id"))]
            if keyed:
                column = self.rnd.choice(keyed)
                parts.append(f"{column.sql} {self.pinned(column.type)}")
        if depth > 0 and self.chance(0.18):
            parts.append(self.sublink(scope, depth))
        return " WHERE " + " AND ".join(f"({part})" for part in parts) if parts else ""

    def select(self, depth=2, top=False):
        """A SELECT; returns (sql, column types). Output columns are named c0, c1, ..."""
        rnd = self.rnd
        if depth > 0 and self.chance(0.08):
            return self.set_operation(depth)
        prefix = ""
        names = None
        if self.chance(0.5):
            names = [*self.world.colocated, "r1"]
        if depth > 0 and self.chance(0.08):
            cte = self.name("w")
            body, types = self.select(depth - 1)
            item, extra = self.from_clause(depth - 1, names)
            prefix = f"WITH {cte} AS {rnd.choice(['', 'MATERIALIZED ', 'NOT MATERIALIZED '])}({body}) "
            alias = self.name("v")
            columns = [Column(f"{alias}.c{i}", t) for i, t in enumerate(types)]
            condition = self.join_condition(extra, columns)
            from_ = f"{item} JOIN {cte} AS {alias} ON {condition or 'true'}" if condition else f"{cte} AS {alias}"
            scope = extra + columns if condition else columns
        else:
            from_, scope = self.from_clause(depth, names)
        where = self.where(scope, depth)
        shape = rnd.random()
        tail = ""
        if shape < 0.38:
            keys = []
            for _ in range(rnd.choice([0, 1, 1, 2])):
                column = rnd.choice(scope)
                keys.append((column.sql, column.type) if self.chance(0.8)
                            else (self.expr(scope, column.type, 1), column.type))
            keys = [key for key in keys if "." in key[0] and "NULL::" not in key[0]]
            aggregates = [self.aggregate(scope) for _ in range(rnd.randint(1, 3))]
            outputs = keys + aggregates
            groups = [Column(sql, type_) for sql, type_ in keys]
            if groups and self.chance(0.2):
                type_ = rnd.choice(groups).type
                outputs.append((self.expr(groups, type_), type_))
            if keys:
                tail = " GROUP BY " + ", ".join(str(i + 1) for i in range(len(keys)))
                if len(keys) == 2 and self.chance(0.15):
                    sets = rnd.choice(["ROLLUP (%s, %s)", "CUBE (%s, %s)", "GROUPING SETS ((%s), (%s))"])
                    tail = " GROUP BY " + sets % (keys[0][0], keys[1][0])
                elif self.chance(0.1):
                    outputs.append((f"sum(count(*)) OVER (PARTITION BY {rnd.choice(keys)[0]})", "numeric"))
            if self.chance(0.15):
                tail += f" HAVING {rnd.choice(['count(*) > 1', self.aggregate(scope)[0] + ' IS NOT NULL'] + [self.predicate(groups)] * len(groups))}"
        else:
            count = rnd.randint(1, 4)
            outputs = []
            for _ in range(count):
                type_ = rnd.choice([column.type for column in scope])
                outputs.append((self.expr(scope, type_), type_))
            if shape > 0.93:
                outputs.append(self.window(scope))
            if depth > 0 and self.chance(0.08):
                subquery = self.scalar_subquery(scope)
                if subquery:
                    outputs.append(subquery)
        distinct = "DISTINCT " if shape >= 0.38 and self.chance(0.15) else ""
        columns = ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(outputs))
        sql = f"{prefix}SELECT {distinct}{columns} FROM {from_}{where}{tail}"
        # PostgreSQL 15 leaves a grouping column that equals a constant out of the order, although it is NULL in some sets.
        if self.chance(0.3) and not any(sets in tail for sets in ("CUBE", "ROLLUP", "SETS")):
            directions = [rnd.choice(["", " DESC", " NULLS FIRST"]) for _ in outputs]
            sql += " ORDER BY " + ", ".join(f"{i + 1}{direction}" for i, direction in enumerate(directions))
            if self.chance(0.6):
                sql += f" LIMIT {0 if self.chance(0.03) else rnd.randint(1, 12)}"
                if self.chance(0.2):
                    sql += f" OFFSET {rnd.randint(0, 5)}"
        return sql, [type_ for _, type_ in outputs]

    def set_operation(self, depth):
        rnd = self.rnd
        type_ = rnd.choice(["int", "text", "date"])
        arms = []
        for _ in range(rnd.randint(2, 3)):
            from_, scope = self.from_clause(depth - 1)
            arms.append(f"SELECT {self.expr(scope, type_, 1)} AS c0 FROM {from_}{self.where(scope, 0)}")
        operator = rnd.choice(["UNION", "UNION", "UNION ALL", "UNION ALL", "INTERSECT", "EXCEPT"])
        return f" {operator} ".join(f"({arm})" for arm in arms), [type_]

    # --- DML ---------------------------------------------------------------------------------

    def dml(self):
        """A data change; returns its SQL. Tables of the statement are compared afterwards."""
        rnd = self.rnd
        name = rnd.choice(self.world.written)
        if name == "a1" and self.chance(0.6):
            return self.change_of_parts()
        columns = self.world.tables[name]
        scope = [Column(f"{name}.{column}", type_) for column, type_ in columns]
        if name in self.world.keyed and self.chance(0.5):
            return self.upsert(name)
        returning = f" RETURNING {rnd.choice(['*', columns[0][0] + ' AS c0'])}" if self.chance(0.4) else ""
        kind = rnd.random()
        if kind < 0.4:
            rows = []
            for _ in range(rnd.choice([1, 1, 1, 2, 5])):
                values = [self.key(columns[0][1])] + [self.literal(type_) for _, type_ in columns[1:]]
                if name == "pt":
                    values[1] = "'2024-03-03'::date"
                rows.append(f"({', '.join(values)})")
            target = ", ".join(column for column, _ in columns)
            return f"INSERT INTO {name} ({target}) VALUES {', '.join(rows)}{returning}"
        where = f" WHERE {self.predicate(scope, 1)}"
        if self.chance(0.4):
            where = f"{where} OR {self.predicate(scope, 0)}"
        elif self.chance(0.4) and name != "r1":
            where = f" WHERE {scope[0].sql} {self.pinned(columns[0][1])}"
            where += f" AND {self.predicate(scope, 0)}" if self.chance(0.3) else ""
        if kind < 0.75:
            column, type_ = rnd.choice(columns[1:])
            if name == "pt":
                column, type_ = "z", "int"
            return f"UPDATE {name} SET {self.moved(name, scope)}{column} = {self.expr(scope, type_, 1)}{where}{returning}"
        return f"DELETE FROM {name}{where}{returning}"

    def change_of_parts(self):
        """Several elements and fields of columns, each set by an expression."""
        rnd = self.rnd
        scope = [Column(f"a1.{column}", type_) for column, type_ in self.world.tables["a1"]]
        scope += [Column(part.format("a1"), type_) for part, type_ in self.world.parts["a1"]]
        places = [("v[1]", "int"), ("v[2]", "int"), ("v[5]", "int"), ("p.x", "int"), ("p.y", "text"), ("m[1].x", "int"), ("m[1].y", "text"), ("m[2].y", "text")]
        if "parts" not in self.world.features:
            places = rnd.sample(places[:2], 1) + rnd.sample(places[3:5], 1)
        places = rnd.sample(places, rnd.randint(1, min(4, len(places))))
        if rnd.random() < 0.3:
            target = ", ".join(["k"] + [place for place, _ in places])
            values = ", ".join([self.key("int")] + [self.literal(type_) for _, type_ in places])
            return f"INSERT INTO a1 ({target}) VALUES ({values})" + (" RETURNING *" if self.chance(0.4) else "")
        if rnd.random() < 0.3:
            row = ", ".join(self.expr(scope, type_, 1) for _, type_ in places)
            assignments = f"({', '.join(place for place, _ in places)}) = ROW({row})"
        else:
            assignments = ", ".join(f"{place} = {self.expr(scope, type_, 1)}" for place, type_ in places)
        return (f"UPDATE a1 SET {self.moved('a1', scope[:1])}{assignments} WHERE {self.predicate(scope, 1)}"
                + (" RETURNING *" if self.chance(0.4) else ""))

    def offset(self):
        """Leads from one key to another that no row has, also not one that will be gone at the end: a plain table looks row by row."""
        return self.rnd.randint(1, 500000) * 1000

    def moved(self, name, scope):
        """Now and then an UPDATE sets the distribution column too, so that rows move to other shards."""
        if name not in self.world.moving or not self.chance(0.3):
            return ""
        column, type_ = self.world.tables[name][0]
        if name in self.world.keyed:
            return f"{column} = {name}.{column} + {self.offset()}, "
        fallback = self.printed(type_, self.world.values[type_][1])
        return f"{column} = coalesce({self.expr(scope, type_, 1)}, {fallback}), "

    def general_write(self):
        """UPDATE and DELETE whose rows or values depend on other tables. What is assigned is the same
        whichever of several matches is taken."""
        rnd = self.rnd
        name = rnd.choice(["l1"] + [name for name in self.world.written if name != "r1"])
        columns = self.world.tables[name]
        scope = [Column(f"{name}.{column}", type_) for column, type_ in columns]
        column, type_ = rnd.choice(columns if name == "l1" else columns[2:] if name == "pt" else columns[1:])
        value = self.expr(scope, type_, 1)
        outputs = [f"{self.expr(scope, t, 1)} AS c{i}" for i, (_, t) in enumerate(columns[:3])]
        returning = f" RETURNING {rnd.choice(['*', ', '.join(outputs)])}" if self.chance(0.5) else ""
        kind = rnd.random()
        if kind < 0.6:
            item, other = self.from_clause(1)
            condition = self.join_condition(scope, other) or "true"
            condition = f"({condition}) AND {self.predicate(scope + other, 1)}" if self.chance(0.5) else condition
            returning = returning.replace(" *", f" {name}.*")
            if self.chance(0.5):
                return f"DELETE FROM {name} USING {item} WHERE {condition}{returning}"
            return f"UPDATE {name} SET {self.moved(name, scope)}{column} = {value} FROM {item} WHERE {condition}{returning}"
        subquery = self.scalar_subquery([c for c in scope if c.type != "bool"])
        where = f" WHERE {self.sublink(scope, 1)}" if self.chance(0.6) else f" WHERE {self.predicate(scope, 1)}"
        if subquery and subquery[1] in [t for c, t in columns[1:]]:
            column = rnd.choice([c for c, t in columns[1:] if t == subquery[1]])
            if name == "pt" and column == "g":
                return f"DELETE FROM pt{where}{returning}"
            return f"UPDATE {name} SET {self.moved(name, scope)}{column} = {subquery[0]}{where}{returning}"
        if self.chance(0.3):
            where += " AND random() >= 0"
        return rnd.choice([f"DELETE FROM {name}{where}{returning}",
                           f"UPDATE {name} SET {self.moved(name, scope)}{column} = {value}{where}{returning}"])

    def locking(self):
        """Row locks on distributed tables, over joins of every kind."""
        name = self.rnd.choice(["t1", "t2", "t3", "pt", "r1"] + [name for name in ("k1", "k2", "w1", "c1") if name in self.world.tables])
        item, scope = self.table([name])
        alias = item.split()[-1]
        condition = None
        if self.chance(0.6):
            other, columns = self.from_clause(1)
            condition = self.join_condition(scope, columns)
        if condition:
            item, scope = f"{item} JOIN ({other}) ON {condition}" if " JOIN " in other else f"{item} JOIN {other} ON {condition}", scope + columns
        outputs = [(self.expr(scope, c.type, 1), c.type) for c in self.rnd.sample(scope, min(3, len(scope)))]
        select = ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(outputs))
        order = ""
        if self.chance(0.4):
            order = " ORDER BY " + ", ".join(str(i + 1) for i in range(len(outputs)))
            order += f" LIMIT {self.rnd.randint(0, 8)}" if self.chance(0.5) else ""
        lock = self.rnd.choice(["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"])
        return f"SELECT {select} FROM {item}{self.where(scope, 1)}{order} FOR {lock} OF {alias}"

    def recursive(self):
        """Walks from key to key through a join of the recursion with a table."""
        item, scope = self.table(["t1", "t2", "t3", "pt", "r1"])
        integers = [c.sql for c in scope if c.type == "int"]
        step = self.rnd.choice(integers)
        return (f"WITH RECURSIVE walk(k, depth) AS (SELECT {self.rnd.randint(0, 9)}, 0 UNION "
                f"SELECT coalesce({self.rnd.choice(integers)}, 0), depth + 1 FROM walk JOIN {item} ON {step} = walk.k "
                f"WHERE depth < 3) SELECT k AS c0, depth AS c1 FROM walk ORDER BY 1, 2")

    def insert_select(self):
        """INSERT of a query's rows."""
        name = self.rnd.choice(["t1", "t1", "t2", "t3", "r1", "l1"] + [name for name in ("k1", "k1", "k2", "w1", "w1", "c1") if name in self.world.tables])
        columns = self.world.tables[name]
        from_, scope = self.from_clause(1, self.world.colocated if self.chance(0.5) else None)
        key = columns[0][1]
        keyed = [c for c in scope if c.sql.endswith(".k") and c.type == key]
        if keyed and self.chance(0.6):
            column = self.rnd.choice(keyed)
            values = [column.sql] + [self.expr(scope, type_, 1) for _, type_ in columns[1:]]
            target = ", ".join(c for c, _ in columns)
            where = self.where(scope, 1)
            where = f"{where} AND {column.sql} IS NOT NULL" if where else f" WHERE {column.sql} IS NOT NULL"
            tail = ""
            if self.chance(0.25):
                values = [column.sql] + [f"max({v})" if t != "bool" else f"bool_or({v})" for v, (_, t) in zip(values[1:], columns[1:])]
                tail = f" GROUP BY {column.sql}"
            returning = f" RETURNING {columns[0][0]}" if self.chance(0.3) else ""
            return f"INSERT INTO {name} ({target}) SELECT {', '.join(values)} FROM {from_}{where}{tail}{returning}"
        values = [f"coalesce({self.expr(scope, key, 1)}, {self.printed(key, self.world.values[key][1])})"]
        values += [self.expr(scope, type_, 1) for _, type_ in columns[1:]]
        target = ", ".join(column for column, _ in columns)
        returning = f" RETURNING {columns[0][0]}" if self.chance(0.3) else ""
        return f"INSERT INTO {name} ({target}) SELECT {', '.join(values)} FROM {from_}{self.where(scope, 0)}{returning}"

    def upsert(self, name):
        """INSERT .. ON CONFLICT, of rows whose keys differ."""
        rnd = self.rnd
        columns = self.world.tables[name]
        key, key_type = columns[0]
        target = ", ".join(column for column, _ in columns)
        if self.chance(0.5):
            if key_type == "key":
                values = self.world.values["key"]
                keys = [self.printed("key", value) for value in rnd.sample(values, rnd.randint(1, min(4, len(values))))]
            else:
                keys = rnd.sample(range(0, 60), rnd.randint(1, 5))
            rows = [f"({', '.join([str(k)] + [self.literal(t) for _, t in columns[1:]])})" for k in keys]
            source = "VALUES " + ", ".join(rows)
        else:
            item, scope = self.table(["k1", "k2", "ku", "kr"] if key_type == "key" else ["t1", "t2", "pt", "r1", "u1", "u2"])
            keyed = [c for c in scope if c.type == key_type]
            column = rnd.choice(keyed)
            values = [f"max({self.leaf(scope, t)})" for _, t in columns[1:]]
            where = self.where(scope, 0)
            where = f"{where} AND {column.sql} IS NOT NULL" if where else f" WHERE {column.sql} IS NOT NULL"
            source = f"SELECT {column.sql}, {', '.join(values)} FROM {item}{where} GROUP BY {column.sql}"
        column, type_ = rnd.choice(columns[1:])
        scope = [Column(f"{p}.{c}", t) for c, t in columns for p in ("t", "excluded")]
        action = rnd.choice(["DO NOTHING", f"(%s) DO UPDATE SET {column} = {self.expr(scope, type_, 1)}"
                             + (f" WHERE {self.predicate(scope, 0)}" if self.chance(0.3) else "")]).replace("%s", key)
        returning = f" RETURNING {rnd.choice(['*', key])}" if self.chance(0.5) else ""
        return f"INSERT INTO {name} AS t ({target}) {source} ON CONFLICT {action}{returning}"

    def change(self, name):
        """A change of a table that returns columns; (sql, columns)."""
        rnd = self.rnd
        columns = self.world.tables[name]
        scope = [Column(f"{name}.{column}", type_) for column, type_ in columns]
        where = f" WHERE {self.predicate(scope, 1)}"
        kind = rnd.random()
        if kind < 0.4:
            return f"DELETE FROM {name}{where} RETURNING {name}.*", columns
        if kind < 0.7:
            column, type_ = columns[-1]
            return f"UPDATE {name} SET {self.moved(name, scope)}{column} = {self.expr(scope, type_, 1)}{where} RETURNING {name}.*", columns
        values = [str(rnd.randint(100, 140)) if columns[0][1] == "int" else self.key("key") if columns[0][1] == "key" else f"'n{rnd.randint(1, 40)}'"]
        values += ["'2024-02-02'::date" if name == "pt" and column == "g" else self.literal(t) for column, t in columns[1:]]
        return f"INSERT INTO {name} VALUES ({', '.join(values)}) RETURNING {name}.*", columns

    def merge(self):
        """MERGE from rows whose keys differ, joined on the target's unique column or on another."""
        rnd = self.rnd
        name = rnd.choice(["u1", "u1", "u2", "l1", "t2"] + [name for name in ("ku", "ku", "ku", "w2") if name in self.world.tables])
        columns = self.world.tables[name]
        target = [Column(f"{name}.{column}", type_) for column, type_ in columns]
        key_type = columns[0][1]
        item, scope = self.table(["k1", "ku"] if key_type == "key" else ["t1", "t2", "pt", "r1", "u1", "u2", "l1"])
        key = rnd.choice([c for c in scope if c.type == key_type])
        value = self.leaf(scope, "text")
        alias = self.name("m")
        source = f"(SELECT {key.sql} AS k, max({value}) AS b FROM {item} WHERE {key.sql} IS NOT NULL GROUP BY {key.sql}) AS {alias}"
        rows = [Column(f"{alias}.k", key_type), Column(f"{alias}.b", "text")]
        clauses = []
        set_column, set_type = columns[-1]
        for _ in range(rnd.randint(1, 2)):
            condition = f" AND {self.predicate(target + rows, 0)}" if self.chance(0.6) else ""
            action = rnd.choice(["DELETE", "DO NOTHING", f"UPDATE SET {set_column} = {self.expr(target + rows, set_type, 1)}",
                                 f"UPDATE SET {set_column} = {self.expr(target + rows, set_type, 1)}"])
            clauses.append(f"WHEN MATCHED{condition} THEN {action}")
            if not condition:
                break
        if self.chance(0.6):
            condition = f" AND {self.predicate(rows, 0)}" if self.chance(0.4) else ""
            values = [f"{alias}.k" if self.chance(0.7) or key_type != "int" else f"{alias}.k + {self.offset()}"]
            values += [self.expr(rows, type_, 1) for _, type_ in columns[1:]]
            names = ", ".join(column for column, _ in columns)
            clauses.append(f"WHEN NOT MATCHED{condition} THEN INSERT ({names}) VALUES ({', '.join(values)})")
        extra = f" AND {self.predicate(target, 0)}" if self.chance(0.2) else ""
        return f"MERGE INTO {name} USING {source} ON {name}.{columns[0][0]} = {alias}.k{extra} {' '.join(clauses)}"

    def with_writes(self):
        """Changes in WITH; what follows reads or changes the same or other tables, at the old state."""
        rnd = self.rnd
        names = rnd.sample(["t1", "t2", "t3", "r1", "l1", "pt", "u1"] + [name for name in ("k1", "k2", "w1", "c1") if name in self.world.tables], 2)
        first, columns = self.change(names[0])
        rows = [Column(f"w.{column}", type_) for column, type_ in columns]
        kind = rnd.random()
        if kind < 0.45:
            item, scope = self.table([names[0], *names])
            condition = self.join_condition(rows, scope)
            join = f"w {rnd.choice(['JOIN', 'LEFT JOIN', 'RIGHT JOIN'])} {item} ON {condition}" if condition else "w"
            scope = rows + scope if condition else rows
            outputs = [self.expr(scope, c.type, 1) for c in rnd.sample(scope, min(3, len(scope)))]
            select = ", ".join(f"{sql} AS c{i}" for i, sql in enumerate(outputs))
            return f"WITH w AS ({first}) SELECT {select} FROM {join}{self.where(scope, 0)}"
        if kind < 0.65:
            return f"WITH w AS ({first}) SELECT count(*) AS c0 FROM {rnd.choice(names)}"
        if kind < 0.85:
            second, _ = self.change(names[1])
            return f"WITH w AS ({first}), x AS ({second}) SELECT count(*) AS c0, (SELECT count(*) FROM x) AS c1 FROM w"
        targets = [n for n in ("t1", "t2", "u1") if n != names[0]]
        target = self.world.tables[rnd.choice(targets)]
        name = next(n for n in targets if self.world.tables[n] is target)
        if name == "u1":
            name, target = "t2", self.world.tables["t2"]
        key = [c for c in rows if c.type == "int"]
        values = [f"coalesce({rnd.choice(key).sql}, 1)" if key else "1"] + [self.expr(rows, t, 1) for _, t in target[1:]]
        return f"WITH w AS ({first}) INSERT INTO {name} SELECT {', '.join(values)} FROM w RETURNING {name}.k"

    def prepared(self):
        """(PREPARE, EXECUTE) of a SELECT or a change with parameters."""
        self.parameters = []
        sql = self.select(top=True)[0] if self.chance(0.8) else self.dml()
        parameters, self.parameters = self.parameters, None
        types = f" ({', '.join(self.sql_type(type_) for type_, _ in parameters)})" if parameters else ""
        values = f" ({', '.join(value for _, value in parameters)})" if parameters else ""
        return f"PREPARE p{types} AS {sql}", f"EXECUTE p{values}"

    def cursor(self):
        """(DECLARE, FETCHes) over a SELECT with a total order."""
        sql, types = self.select()
        inner = f"SELECT * FROM ({sql}) AS scrolled ORDER BY " + ", ".join(str(i + 1) for i in range(len(types)))
        rnd = self.rnd
        moves = [rnd.choice(["FETCH 3", "FETCH BACKWARD 2", "MOVE 4", "FETCH ABSOLUTE 2", "FETCH RELATIVE -1", "FETCH LAST", "FETCH FIRST", "FETCH PRIOR",
                             "MOVE BACKWARD ALL", "FETCH ALL", "FETCH NEXT"]) + " FROM c" for _ in range(rnd.randint(2, 6))]
        return [f"DECLARE c SCROLL CURSOR FOR {inner}", *moves]

    def statement(self):
        """(kind, sql): kind is 'select', 'dml', 'prepared' or 'cursor'; of the latter two, sql is a list of statements."""
        if self.chance(0.03):
            return "prepared", list(self.prepared())
        if self.chance(0.03):
            return "cursor", self.cursor()
        if self.chance(0.05):
            return "dml", self.with_writes()
        if self.chance(0.04):
            return "dml", self.merge()
        if self.chance(0.2):
            return "dml", self.dml()
        if self.chance(0.04):
            return "dml", self.insert_select()
        if self.chance(0.06):
            return "dml", self.general_write()
        if self.chance(0.03):
            return "select", self.locking()
        if self.chance(0.03):
            return "select", self.recursive()
        sql, _ = self.select(top=True)
        return "select", sql
