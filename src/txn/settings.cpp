/*
 * settings.cpp: the session settings that change answers, carried to other nodes.
 *
 * What is in force on a session is remembered by value and compared with this backend's variables
 * before each statement: a few integer comparisons in the usual case. What differs is sent in one
 * SELECT set_config(..).
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "parser/parser.h"
#include "storage/proc.h"
#include "tsearch/ts_cache.h"
#include "utils/array.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/rls.h"
#include "utils/xml.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

bool same_text(const char *left, const char *right)
{
	if (left == nullptr || right == nullptr)
		return left == right;
	return strcmp(left, right) == 0;
}

void keep_text(char **kept, const char *text, MemoryContext context)
{
	if (same_text(*kept, text))
		return;
	if (*kept != nullptr)
		pfree(*kept);
	*kept = text != nullptr ? MemoryContextStrdup(context, text) : nullptr;
}

bool settings_match(const SettingsSnapshot& known)
{
	return known.time_zone == session_timezone && known.date_style == DateStyle &&
		   known.date_order == DateOrder && known.interval_style == IntervalStyle &&
		   known.float_digits == extra_float_digits && known.bytea_format == bytea_output &&
		   known.xml_binary == xmlbinary && known.xml_option == xmloption &&
		   known.lock_timeout == LockTimeout && known.array_nulls == Array_nulls &&
		   known.conforming_strings == standard_conforming_strings &&
		   known.function_bodies == check_function_bodies &&
		   known.row_level_security == row_security &&
		   same_text(known.search_path, namespace_search_path) &&
		   same_text(known.text_search, TSCurrentConfig);
}

void take_settings(SettingsSnapshot *known, MemoryContext context)
{
	keep_text(&known->search_path, namespace_search_path, context);
	keep_text(&known->text_search, TSCurrentConfig, context);
	known->time_zone = session_timezone;
	known->date_style = DateStyle;
	known->date_order = DateOrder;
	known->interval_style = IntervalStyle;
	known->float_digits = extra_float_digits;
	known->bytea_format = bytea_output;
	known->xml_binary = xmlbinary;
	known->xml_option = xmloption;
	known->lock_timeout = LockTimeout;
	known->array_nulls = Array_nulls;
	known->conforming_strings = standard_conforming_strings;
	known->function_bodies = check_function_bodies;
	known->row_level_security = row_security;
}

class SettingList
{
public:
	void add(bool changed, const char *name)
	{
		if (!changed)
			return;
		const char *value = GetConfigOption(name, true, false);
		if (value == nullptr)
			return;
		text_.raw(text_.empty() ? "SELECT " : ", ")
			.raw("pg_catalog.set_config(")
			.literal(name)
			.raw(", ");
		text_.literal(value).raw(", false)");
	}
	char *text() { return text_.empty() ? nullptr : text_.c_str(); }

private:
	pg::Str text_;
};
CIVITAS_SERVER_STATE(SettingList);

} // namespace

char *settings_command(Participant *participant)
{
	SettingsSnapshot& known = participant->settings;
	const bool all = !participant->settings_known;
	if (!all && settings_match(known))
		return nullptr;

	SettingList list;
	/* First, so that the other literals are read as they were written. */
	list.add(all || known.conforming_strings != standard_conforming_strings,
			 "standard_conforming_strings");
	list.add(all || known.time_zone != session_timezone, "TimeZone");
	list.add(all || known.date_style != DateStyle || known.date_order != DateOrder, "DateStyle");
	list.add(all || known.interval_style != IntervalStyle, "IntervalStyle");
	list.add(all || known.float_digits != extra_float_digits, "extra_float_digits");
	list.add(all || known.bytea_format != bytea_output, "bytea_output");
	list.add(all || known.xml_binary != xmlbinary, "xmlbinary");
	list.add(all || known.xml_option != xmloption, "xmloption");
	list.add(all || known.lock_timeout != LockTimeout, "lock_timeout");
	list.add(all || known.array_nulls != Array_nulls, "array_nulls");
	list.add(all || known.function_bodies != check_function_bodies, "check_function_bodies");
	list.add(all || known.row_level_security != row_security, "row_security");
	list.add(all || !same_text(known.search_path, namespace_search_path), "search_path");
	list.add(all || !same_text(known.text_search, TSCurrentConfig), "default_text_search_config");

	take_settings(&known, remote::session_context(participant->session));
	participant->settings_known = true;
	return list.text();
}

} // namespace civitas::txn
