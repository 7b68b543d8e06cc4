/*
 * compat.cpp: the shims of compat.h that need more than a line.
 */
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "utils/guc_tables.h"
CIVITAS_PG_END

namespace civitas::pg {

config_generic *find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, 0);
#else
	for (config_generic *setting : all_settings())
		if (pg_strcasecmp(setting->name, name) == 0)
			return setting;
	return nullptr;
#endif
}

std::span<config_generic *const> all_settings()
{
	int count;
#if PG_VERSION_NUM >= 160000
	config_generic **settings = get_guc_variables(&count);
#else
	config_generic **settings = get_guc_variables();
	count = GetNumConfigOptions();
#endif
	return {settings, static_cast<size_t>(count)};
}

GucSource setting_source(const char *name)
{
	const config_generic *setting = find_setting(name);
	return setting != nullptr ? setting->source : PGC_S_DEFAULT;
}

} // namespace civitas::pg
