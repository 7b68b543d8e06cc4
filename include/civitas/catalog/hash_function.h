/*
 * hash_function.h: which function hashes a type, in words that mean the same on every node.
 *
 * Every node hashes with the type's default operator class, which the node looks up on its own. So
 * that two nodes cannot mean different functions without anybody noticing, whoever asks another one
 * to hash sends along what it means, and the other one compares.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::catalog {

struct Table;

/* The function of the type's default hash operator class; InvalidOid where it has none. */
Oid find_hash_function(Oid type);
/*
 * The function's qualified name with its argument types; behind it those of what it hashes in turn
 * (elements, fields, bounds), collations where equal values may differ in their bytes, and, of
 * functions that are not the server's or a library's, a hash of the source. In
 * CurrentMemoryContext. 42883 where the type cannot be hashed.
 */
char *hash_function_name(Oid type, Oid collation);
/* That of the distribution column of a table that is distributed by hash. */
char *hash_function_name(const Table& table);
/* 55000 unless this node means the same by the type's hash. */
void check_hash_function(Oid type, Oid collation, const char *name);

/* "COALESCE(citus_internal.hash_value(column, 'name'), hash of NULL)" for a node with shards of the
 * table. */
char *hash_value_sql(const char *column, const char *function);

/* An operator class has been made: 55000 where it would be the one that some table's distribution
 * column is hashed with from now on. */
void check_new_operator_class(Oid operator_class);

} // namespace civitas::catalog
