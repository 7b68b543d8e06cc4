/*
 * compat.cpp: the shims of compat.h that need more than a line.
 */
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "utils/guc_tables.h"
CIVITAS_PG_END

namespace civitas::pg {

GucSource setting_source(const char *name)
{
#if PG_VERSION_NUM >= 160000
	const config_generic *setting = find_option(name, false, true, 0);
	return setting != nullptr ? setting->source : PGC_S_DEFAULT;
#else
	config_generic **settings = get_guc_variables();
	const int count = GetNumConfigOptions();
	for (int i = 0; i < count; i++)
	{
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i]->source;
	}
	return PGC_S_DEFAULT;
#endif
}

} // namespace civitas::pg
