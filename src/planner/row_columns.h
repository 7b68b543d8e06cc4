/*
 * row_columns.h: the rows of an UPDATE or DELETE that this node finds, as columns. What
 * modify_rows.cpp and move_rows.cpp share.
 */
#pragma once

#include "internal.h"

namespace civitas::planner {

/* Range table of the statement that a shard gets. */
inline constexpr int TARGET = 1;
inline constexpr int ROWS = 2;
inline constexpr const char *FOUND_ROWS = "found_rows";

/* The columns of the rows that are found, as the SELECT computes them and as VALUES names them. */
struct RowColumns
{
	Index target; /* range table index of the statement's target */
	List *select; /* TargetEntry */
	List *names;  /* String */
	List *types;  /* oid list */
	int own; /* the target's columns; what comes after them in early rows is not the target's */
	bool leaving; /* rows may leave their shard */
};

/* Adds a column; how the shard's statement refers to it. */
Var *add_column(RowColumns *columns, Expr *expr);
Var *target_column(int varno, Oid relid, AttrNumber attno);
/* The range table entry of the rows, marked as the hole that they fill. */
RangeTblEntry *values_entry(const RowColumns& columns);

/* --- move_rows.cpp ---------------------------------------------------------------------------- */

struct Moves
{
	List *arriving;	   /* the whole new row: TargetEntry over ROWS */
	List *guards;	   /* conditions over ROWS under which rows may leave */
	List *referencing; /* oid list: the tables that those look into */
};

/* What moves need among the columns of the rows that are found. */
Moves prepare_moves(RowColumns *columns, List *assignments, const RangeTblEntry *rte);
/* Makes remote->moves beside the UPDATE that a shard gets; to be called before that is a template,
 * when everything else that tasks need is known. */
void plan_moves(plan::RemoteQuery *remote, const Query *update, const RowColumns& columns,
				const catalog::Table& target, const Moves& moves);

/* The moves run in the name that the UPDATE runs in. */
void complete_moves(const plan::RemoteQuery *remote);

} // namespace civitas::planner
