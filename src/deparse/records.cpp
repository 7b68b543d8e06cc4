/*
 * records.cpp: rows of no named type in SQL.
 *
 * PostgreSQL's planner makes one constant of ROW(1, 'x'), of type record, which has a text but
 * nothing that reads it. It is taken apart again here: ROW(constant, ..), for arrays ARRAY[..]. The
 * columns of ROW(..) are called f1, f2, ..; a row of a subquery has its column names, which would
 * be lost.
 */
#include "civitas/deparse/records.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::deparse {

namespace {

bool is_record(const Const *constant)
{
	return !constant->constisnull &&
		   (constant->consttype == RECORDOID || constant->consttype == RECORDARRAYOID);
}

bool is_row_column(const char *name, int number)
{
	char expected[16];
	snprintf(expected, sizeof(expected), "f%d", number);
	return strcmp(name, expected) == 0;
}

TupleDesc row_type(HeapTupleHeader row)
{
	return lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
}

bool row_has_names(HeapTupleHeader row)
{
	TupleDesc columns = row_type(row);
	bool found = false;
	for (int i = 0; i < columns->natts && !found; i++)
		found = !TupleDescAttr(columns, i)->attisdropped &&
				!is_row_column(NameStr(TupleDescAttr(columns, i)->attname), i + 1);
	ReleaseTupleDesc(columns);
	return found;
}

struct Elements
{
	Datum *values;
	bool *nulls;
	int count;
};

Elements elements_of(ArrayType *array)
{
	Elements elements;
	int16 length;
	bool by_value;
	char align;
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &elements.values,
					  &elements.nulls, &elements.count);
	return elements;
}

bool constant_has_names(const Const *constant)
{
	if (constant->consttype == RECORDOID)
		return row_has_names(DatumGetHeapTupleHeader(constant->constvalue));
	const Elements elements = elements_of(DatumGetArrayTypeP(constant->constvalue));
	for (int i = 0; i < elements.count; i++)
		if (!elements.nulls[i] && row_has_names(DatumGetHeapTupleHeader(elements.values[i])))
			return true;
	return false;
}

Expr *spell(Const *constant);

Expr *spell_value(Oid type, int32 typmod, Oid collation, Datum value, bool is_null)
{
	int16 length;
	bool by_value;
	get_typlenbyval(type, &length, &by_value);
	return spell(makeConst(type, typmod, collation, length, value, is_null, by_value));
}

Expr *spell_row(HeapTupleHeader row)
{
	TupleDesc columns = row_type(row);
	Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * (columns->natts + 1)));
	bool *nulls = static_cast<bool *>(palloc(columns->natts + 1));
	HeapTupleData tuple;
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, columns, values, nulls);

	RowExpr *result = makeNode(RowExpr);
	result->row_typeid = RECORDOID;
	result->row_format = COERCE_EXPLICIT_CALL;
	result->location = -1;
	for (int i = 0; i < columns->natts; i++)
	{
		const FormData_pg_attribute *column = TupleDescAttr(columns, i);
		if (!column->attisdropped)
			result->args =
				lappend(result->args, spell_value(column->atttypid, column->atttypmod,
												  column->attcollation, values[i], nulls[i]));
	}
	ReleaseTupleDesc(columns);
	return reinterpret_cast<Expr *>(result);
}

/* Elements from *next on, `level` dimensions deep in the array. */
Expr *spell_array(const ArrayType *array, const Elements& elements, int level, int *next)
{
	ArrayExpr *result = makeNode(ArrayExpr);
	result->array_typeid = RECORDARRAYOID;
	result->element_typeid = RECORDOID;
	result->multidims = level + 1 < ARR_NDIM(array);
	result->location = -1;
	const int count = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[level];
	for (int i = 0; i < count; i++)
	{
		Expr *element;
		if (result->multidims)
			element = spell_array(array, elements, level + 1, next);
		else
		{
			element = spell_value(RECORDOID, -1, InvalidOid, elements.values[*next],
								  elements.nulls[*next]);
			++*next;
		}
		result->elements = lappend(result->elements, element);
	}
	return reinterpret_cast<Expr *>(result);
}

Expr *spell(Const *constant)
{
	if (!is_record(constant))
		return reinterpret_cast<Expr *>(constant);
	if (constant->consttype == RECORDOID)
		return spell_row(DatumGetHeapTupleHeader(constant->constvalue));
	ArrayType *array = DatumGetArrayTypeP(constant->constvalue);
	int next = 0;
	return spell_array(array, elements_of(array), 0, &next);
}

bool record_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Const))
		return is_record(castNode(Const, node));
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), record_walker, context);
	return pg::walk_children(node, record_walker, context);
}

Node *record_mutator(Node *node, void *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Const))
		return reinterpret_cast<Node *>(spell(static_cast<Const *>(copyObjectImpl(node))));
	if (IsA(node, Query))
		return reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), record_mutator, context));
	return pg::mutate_children(node, record_mutator, context);
}

} // namespace

bool has_column_names(Node *node)
{
	if (IsA(node, Const))
		return is_record(castNode(Const, node)) && constant_has_names(castNode(Const, node));
	if (!IsA(node, RowExpr) || castNode(RowExpr, node)->row_typeid != RECORDOID)
		return false;
	ListCell *cell;
	foreach (cell, castNode(RowExpr, node)->colnames)
		if (!is_row_column(strVal(lfirst(cell)), foreach_current_index(cell) + 1))
			return true;
	return false;
}

Query *spell_records(Query *query)
{
	if (!record_walker(reinterpret_cast<Node *>(query), nullptr))
		return query;
	return castNode(Query, record_mutator(reinterpret_cast<Node *>(query), nullptr));
}

} // namespace civitas::deparse
