/*
 * distribution_key.cpp: see distribution_key.h.
 *
 * Reading does not go through PostgreSQL's node reader: it trusts its input, and crashes on text
 * that users may hand to column_to_column_name().
 */
#include "distribution_key.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

char *distribution_key(Oid relid, AttrNumber attno)
{
	Oid type;
	int32 typmod;
	Oid collation;
	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	return nodeToString(makeVar(1, attno, type, typmod, collation, 0));
}

AttrNumber find_column_of_distribution_key(const char *key)
{
	static constexpr const char FIELD[] = " :varattno ";
	const char *field = strncmp(key, "{VAR :", 6) == 0 ? strstr(key, FIELD) : nullptr;
	char *end = nullptr;
	const long attno = field != nullptr ? strtol(field + sizeof(FIELD) - 1, &end, 10) : 0;
	if (attno <= 0 || attno > MaxHeapAttributeNumber || *end != ' ')
		return InvalidAttrNumber;
	return static_cast<AttrNumber>(attno);
}

AttrNumber column_of_distribution_key(const char *key)
{
	const AttrNumber attno = find_column_of_distribution_key(key);
	if (attno == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("not a column: %s", key)));
	return attno;
}

} // namespace civitas::catalog
