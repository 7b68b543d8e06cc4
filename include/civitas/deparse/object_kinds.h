/*
 * object_kinds.h: the kinds of objects that tables rest on and that nodes are given, as data.
 *
 * A node that has an object is asked for the same texts about it: where they are equal, the objects
 * are.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/pg/str.h"

#include <span>

namespace civitas::deparse {

/* SELECTs over {oid}, or over {id} and {name}. */
struct ObjectKind
{
	Oid class_id;
	const char *class_name; /* the catalog */
	const char *keyword;	/* of DROP */
	const char *identity; /* what it is called on every node; no row: an object that is not given */
	const char *name;	  /* without schema and arguments */
	const char *find;	  /* from both, the oid of the one that is here, as text */
	/* Statements: the first one makes it, the others are true of it already or change it. */
	const char *create;
	/* Rights of others than the owner: "right ON object", grantee, option, with 0x01 between; may be
	 * null. */
	const char *rights;
};

std::span<const ObjectKind> object_kinds();
const ObjectKind *find_object_kind(Oid class_id);
/* The query with the oid in place of {oid}. */
char *fill_object_query(const char *query, Oid object_id);

} // namespace civitas::deparse
