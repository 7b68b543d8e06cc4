/*
 * sequence_columns.h: ALTER TABLE of serial and identity columns, and of defaults that call nextval().
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Whether a raw expression takes a value from a sequence. */
bool calls_nextval(Node *node);
bool is_serial_column(const ColumnDef *column);

enum class Stripped
{
	Shell, /* of a node that is not the coordinator */
	Shards
};

/* Takes what is about sequences out of the statement about the table, in place. Returns the names of
 * columns whose sequences come by finish_sequence_columns(). */
List *strip_sequences(Node *tree, Oid relid, Stripped what);
/* Columns with a sequence that the statement is going to add, before it has run. */
List *new_sequence_columns(Node *tree, Oid relid);
/* After the statement has run everywhere: the other nodes' columns get their sequences, the rows their
 * values. changed: of strip_sequences(); added: of new_sequence_columns(). */
void finish_sequence_columns(Oid relid, List *changed, List *added);

} // namespace civitas::ddl
