/*
 * kinds.h: the kinds of objects that every node has, as data: one row a kind.
 *
 * A row says how an object is called in statements, which statements make it, what it rests on
 * beyond what pg_depend knows, and which of its columns hold owner and rights. Everything that is
 * done with objects is done by these rows: making them on other nodes, comparing, changing,
 * dropping them there (bring_objects.cpp, drops.cpp), and finding out what a statement is about
 * (objects.cpp). A node that has an object is asked for the same texts about it: where they are
 * equal, the objects are.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "catalog/objectaddress.h"
CIVITAS_PG_END

#include <span>

namespace civitas::ddl {

/* How an object that differs from what is told becomes the same. */
enum class Change
{
	Replace, /* dropped and made again */
	InPlace, /* its statements say OR REPLACE */
	Steps,	 /* the statements after the first are steps from any state to the right one */
	Shell,	 /* any type of that name will do: it is there so that functions can name it */
};

/* Queries are over {oid}; conditions and the name are over the catalog's row x; {own} is an array of
 * "class oid" texts, the loose parts that the statements must leave out. */
struct ObjectKind
{
	const char *name; /* what nodes call the row */
	Oid class_id;
	const char *class_name; /* the catalog */
	const char *keyword;	/* in DROP, ALTER .. OWNER, COMMENT ON */
	const char *name_column;
	/* Which rows of the catalog are such objects. */
	const char *condition;
	/* What statements call it, an expression; null: its identity (pg_identify_object). */
	const char *called;
	/* The statements that make it, in order. */
	const char *create;
	const char *owner_column;	/* null: belongs to nobody */
	const char *rights_column;	/* null: has no rights */
	const char *rights_type;	/* of acldefault() */
	const char *rights_keyword; /* GRANT .. ON */
	/* "class oid" lines: what must be visited with it; null: nothing but what pg_depend says. */
	const char *parts;
	Change change;
	bool bare; /* no CASCADE at DROP, no comment, no label */
	/* More parts, which do not hold the object back: one that rests on what only this node has stays
	 * here, while the object is everywhere. */
	const char *loose_parts = nullptr;
};

std::span<const ObjectKind> object_kinds();
/* Whether objects of this catalog may be of some kind: cheap. */
bool has_object_kinds(Oid class_id);
/* Null where it is no such object, or is not there. Looks into the catalog. */
const ObjectKind *find_object_kind(Oid class_id, Oid object_id);
const ObjectKind *find_object_kind(const char *name);

/* What statements call the object. */
char *object_called(const ObjectKind& kind, Oid object_id);
/* "DROP .. IF EXISTS .. CASCADE". */
char *drop_object_sql(const ObjectKind& kind, Oid object_id);

/* What nodes tell each other of an object: */
char *object_identity(const ObjectKind& kind, Oid object_id);
char *object_name(const ObjectKind& kind, Oid object_id); /* without schema and arguments, or "" */
/* The one of this node that is told of; InvalidOid where it is missing. */
Oid find_object(const ObjectKind& kind, const char *identity, const char *name);
List *object_creation(const ObjectKind& kind, Oid object_id);
/* Its loose parts that rest on what only this node has: ObjectAddresses. */
List *own_parts(const ObjectKind& kind, Oid object_id);
/* Statements that are true of it already: owner, comment, security labels. */
List *object_state(const ObjectKind& kind, Oid object_id);
/* Rights of others than the owner: "right ON object", grantee, option, with 0x01 between. */
List *object_rights(const ObjectKind& kind, Oid object_id);

/* The query with the oid in place of {oid}. */
char *fill_object_query(const char *query, Oid object_id);

/* The objectSubId of the shell of a type, which precedes the functions that read and write it. */
inline constexpr int32 SHELL_OF_TYPE = -1;
/* The row that the address stands for. */
const ObjectKind *kind_of_address(const ObjectAddress& address);

} // namespace civitas::ddl
