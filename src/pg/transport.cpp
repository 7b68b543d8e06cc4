/*
 * transport.cpp: which types' values mean the same on another node.
 */
#include "civitas/pg/transport.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::pg {

bool names_catalog_object(Oid type)
{
	switch (type)
	{
	case REGPROCOID:
	case REGPROCEDUREOID:
	case REGOPEROID:
	case REGOPERATOROID:
	case REGCLASSOID:
	case REGTYPEOID:
	case REGROLEOID:
	case REGNAMESPACEOID:
	case REGCONFIGOID:
	case REGDICTIONARYOID:
	case REGCOLLATIONOID:
		return true;
	default:
		return false;
	}
}

bool binary_travels(Oid type)
{
	type = getBaseType(type);
	const Oid element = get_element_type(type);
	if (names_catalog_object(type) || (OidIsValid(element) && names_catalog_object(element)))
		return false;

	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return false;
	const auto *form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
	const bool built_in = type < FirstNormalObjectId && form->typtype != TYPTYPE_PSEUDO &&
						  form->typtype != TYPTYPE_COMPOSITE;
	const bool travels = (built_in || form->typtype == TYPTYPE_ENUM) && OidIsValid(form->typsend) &&
						 OidIsValid(form->typreceive);
	ReleaseSysCache(tuple);
	return travels;
}

} // namespace civitas::pg
