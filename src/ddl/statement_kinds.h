/*
 * statement_kinds.h: the utility statements that may name a table of the metadata, one row each.
 */
#pragma once

#include "civitas/catalog/tables.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* How far down a statement goes. */
enum class Reach
{
	ShellOnly,		 /* what shards do not have: comments, statistics objects */
	ShellThenShards, /* creates named things: the shell's names decide the shards' */
	ShardsThenShell, /* changes or drops named things: names resolve while the shell is as it was */
	AllShardsAtOnce, /* lists tables: one statement with all local shards of all of them */
	OwnTransactions, /* cannot run in a transaction block, or need not: see maintenance.cpp */
	Refused			 /* not possible on a table of the metadata */
};

struct StatementKind
{
	NodeTag tag;
	Reach reach;
	const char *name;				   /* for messages */
	List *(*relations)(Node *);		   /* RangeVars that the statement is about */
	bool (*applies)(Node *);		   /* null: always */
	void (*check)(Node *, List *oids); /* null: nothing to check; raises 0A000 */
};

/* The row for a statement; null where the statement is nothing to us. */
const StatementKind *statement_kind(Node *statement);

/* Tables of the metadata that the statement is about, without repetition. */
List *metadata_tables(const StatementKind& kind, Node *statement);

/* --- names that the statement leaves to the server --- */

/* Constraints and indexes of a table, before the statement ran. */
List *existing_object_ids(Oid relid);
/* The names that were chosen for what the statement left unnamed, in statement order: C strings. */
List *chosen_names(Node *statement, Oid relid, List *existing);
/* Puts them into a tree of the same statement; how many of the list were for it. */
int fill_names(Node *statement, List *names);

/* --- values of defaults that are the same for all rows (new_defaults.cpp) --- */

/* An SQL expression for each ADD COLUMN with a default, in statement order: C strings, empty where
 * the default stays as it is. To be called before the statement has run. Runs functions that the
 * default names, as the caller. */
List *default_values(Node *statement, Oid relid);
/* Puts them into a tree of the same statement. */
void fill_defaults(Node *statement, List *values);

} // namespace civitas::ddl
