/*
 * pull_rows.h: rows of another node's table into one of this node.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/remote/session.h"

namespace civitas::executor {

/* What a session that rows are pulled over is told first: rather an error than rows that a policy
 * hides, and values in the same words whatever is set there. */
extern const char *const PULL_SETTINGS;

struct PulledRows
{
	int64 sent;	   /* as the other end says */
	int64 written; /* here */
};

/* 42809 where the table at the other end is not a plain one: the owner of a shard might have put a
 * view in its place, whose functions would run with the rights of the session. */
void require_plain_table(remote::Session *session, const char *table);
/* Rows of `table` (qualified and quoted, at the other end of the session; filter: an SQL condition,
 * null: all) into the relation, as its owner. Triggers and foreign keys are not run. The session is
 * claimed by the caller, who closes it, also when this raises. */
PulledRows pull_rows(Oid local, remote::Session *session, const char *table, const char *filter);

} // namespace civitas::executor
