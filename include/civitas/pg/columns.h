/*
 * columns.h: columns of tables: by number, and those that hold values of their own.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/pg/transport.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_attribute.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::pg {

/* A column's name; null where it is dropped or does not exist: get_attname() names dropped ones. */
inline char *column_name(Oid relid, AttrNumber attno)
{
	HeapTuple tuple = SearchSysCacheAttNum(relid, attno);
	if (!HeapTupleIsValid(tuple))
		return nullptr;
	char *name = pstrdup(NameStr(reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attname));
	ReleaseSysCache(tuple);
	return name;
}

inline bool is_stored(const FormData_pg_attribute& attribute)
{
	return !attribute.attisdropped && attribute.attgenerated == '\0';
}

/* Names (String nodes) of the columns that a COPY can fill: not the generated ones. */
inline List *stored_columns(TupleDesc row_type)
{
	List *names = NIL;
	for (int i = 0; i < row_type->natts; i++)
		if (is_stored(*TupleDescAttr(row_type, i)))
			names =
				lappend(names, makeString(pstrdup(NameStr(TupleDescAttr(row_type, i)->attname))));
	return names;
}

/* Whether all of these can travel in binary form. */
inline bool stored_columns_travel_in_binary(TupleDesc row_type)
{
	for (int i = 0; i < row_type->natts; i++)
		if (is_stored(*TupleDescAttr(row_type, i)) &&
			!binary_travels(TupleDescAttr(row_type, i)->atttypid))
			return false;
	return true;
}

} // namespace civitas::pg
