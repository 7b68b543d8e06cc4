/*
 * settings.cpp: the session settings that change answers, carried to other nodes.
 *
 * Which ones: setting_table.cpp. Before each statement the values that they have now are compared with
 * those of the look before, by type: a few dozen comparisons, no call. Only where one differs the
 * generation goes up. A session that was told everything of the current generation needs no more; another
 * one is sent what differs from what it was told, in one SELECT set_config(..).
 *
 * Settings with a dot (of extensions, and the application's own) come and go while the session lasts. They
 * are looked up again when one comes that has a value, or one makes room for another: a name that was only set
 * becomes a real setting when the library that knows it is loaded. They are sent once they have a value
 * of their own; after that always, so that RESET arrives, too.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

/* A setting's variable, and what it held at the last look. */
template <typename T> struct Watched
{
	const T *variable;
	T seen;
};
using WatchedText = Watched<char *>;

/* A setting by name; sessions remember by its index what they were told. Never removed. */
struct Named
{
	char *name;
	bool custom; /* with a dot */
	/* What the server knows of it; null where it is gone. Where in its list it was, for custom ones. */
	config_generic *record;
	int slot;
};
CIVITAS_SERVER_STATE(Named);

/* All in TopMemoryContext. */
struct Settings
{
	bool known;
	pg::Vec<Named> named;
	pg::Vec<Watched<bool>> bools;
	pg::Vec<Watched<int>> ints;
	pg::Vec<Watched<double>> reals;
	pg::Vec<WatchedText> texts;
	int custom_begin; /* of the custom ones in `named` */
	uint64 stamp;	  /* of the server's settings when they were looked up */
	uint64 generation;
};
Settings *settings;

bool same_text(const char *left, const char *right)
{
	if (left == nullptr || right == nullptr)
		return left == right;
	return strcmp(left, right) == 0;
}

template <typename T> bool is_as_seen(const Watched<T>& watched)
{
	return *watched.variable == watched.seen;
}
bool is_as_seen(const WatchedText& watched)
{
	return same_text(*watched.variable, watched.seen);
}

template <typename T> void look(Watched<T> *watched)
{
	watched->seen = *watched->variable;
}
void look(WatchedText *watched)
{
	if (is_as_seen(*watched))
		return;
	char *copy = *watched->variable != nullptr
					 ? MemoryContextStrdup(TopMemoryContext, *watched->variable)
					 : nullptr;
	if (watched->seen != nullptr)
		pfree(watched->seen);
	watched->seen = copy;
}

void watch(config_generic *record)
{
	switch (record->vartype)
	{
	case PGC_BOOL:
		settings->bools.push({reinterpret_cast<config_bool *>(record)->variable, false});
		break;
	case PGC_INT:
		settings->ints.push({reinterpret_cast<config_int *>(record)->variable, 0});
		break;
	case PGC_ENUM:
		settings->ints.push({reinterpret_cast<config_enum *>(record)->variable, 0});
		break;
	case PGC_REAL:
		settings->reals.push({reinterpret_cast<config_real *>(record)->variable, 0});
		break;
	case PGC_STRING:
		settings->texts.push({reinterpret_cast<config_string *>(record)->variable, nullptr});
		break;
	}
}

void name_custom(config_generic *record, int slot)
{
	for (int i = settings->custom_begin; i < settings->named.size(); i++)
	{
		Named& named = settings->named[i];
		if (pg_strcasecmp(named.name, record->name) == 0)
		{
			named.record = record;
			named.slot = slot;
			return;
		}
	}
	settings->named.push({MemoryContextStrdup(TopMemoryContext, record->name), true, record, slot});
}

/* Watches what there is now. */
void look_up_settings()
{
	const std::span<config_generic *const> all = pg::all_settings();
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	if (settings == nullptr)
	{
		settings = new (palloc0(sizeof(Settings))) Settings{};
		const char *name;
		for (int i = 0; (name = travelling_setting(i)) != nullptr; i++)
			if (config_generic *record = pg::find_setting(name))
				settings->named.push({const_cast<char *>(name), false, record, -1});
		settings->custom_begin = settings->named.size();
	}
	settings->known = false;
	for (int i = settings->custom_begin; i < settings->named.size(); i++)
		settings->named[i].record = nullptr;
	for (const WatchedText& text : settings->texts)
		if (text.seen != nullptr)
			pfree(text.seen);
	settings->bools.clear();
	settings->ints.clear();
	settings->reals.clear();
	settings->texts.clear();

	for (int slot = 0; slot < static_cast<int>(all.size()); slot++)
	{
		bool known;
		config_generic *record = all[slot];
		if (strchr(record->name, '.') != nullptr && setting_travels(record->name, &known) &&
			(record->context == PGC_USERSET || record->context == PGC_SUSET))
			name_custom(record, slot);
	}
	for (const Named& named : settings->named)
		if (named.record != nullptr)
			watch(named.record);
	settings->stamp = pg::settings_stamp();
	settings->known = true;
	MemoryContextSwitchTo(old);
}

/* Whether the list of settings is the one that was looked up. */
bool list_is_current()
{
	if (settings == nullptr || !settings->known)
		return false;
	if (pg::settings_stamp() != settings->stamp)
		return false;
	for (int i = settings->custom_begin; i < settings->named.size(); i++)
	{
		const Named& named = settings->named[i];
		if (named.record != nullptr && !pg::is_setting(named.record, named.name, named.slot))
			return false;
	}
	return true;
}

template <typename T> bool any_changed(const pg::Vec<T>& watched)
{
	for (const T& one : watched)
		if (!is_as_seen(one))
			return true;
	return false;
}

template <typename T> void look_at_all(pg::Vec<T>& watched)
{
	for (T& one : watched)
		look(&one);
}

/* Brings the generation up to date. */
void compare_with_last_look()
{
	const bool current = list_is_current();
	if (current && !any_changed(settings->ints) && !any_changed(settings->bools) &&
		!any_changed(settings->texts) && !any_changed(settings->reals))
		return;
	if (!current)
		look_up_settings();
	settings->generation++;
	look_at_all(settings->bools);
	look_at_all(settings->ints);
	look_at_all(settings->reals);
	look_at_all(settings->texts);
}

/* The value to send; null: none. */
const char *value_of(const Named& named, bool was_told)
{
	const config_generic *record = named.record;
	if (record == nullptr)
		return was_told ? "" : nullptr;
	if (!was_told)
	{
		if (named.custom && record->source == PGC_S_DEFAULT)
			return nullptr;
		/* What only some may set comes from the session; from the configuration each node has it. */
		if (record->context == PGC_SUSET && record->source < PGC_S_CLIENT)
			return nullptr;
	}
	const char *value = GetConfigOption(named.name, true, false);
	return value != nullptr || !was_told ? value : "";
}

/* Makes room for what the session was told of each setting. */
void reserve_told(Participant *participant)
{
	const int count = settings->named.size();
	if (participant->told_count == count)
		return;
	char **told = static_cast<char **>(MemoryContextAllocZero(
		remote::session_context(participant->session), sizeof(char *) * count));
	if (participant->told_count > 0)
	{
		memcpy(told, participant->told, sizeof(char *) * participant->told_count);
		pfree(participant->told);
	}
	participant->told = told;
	participant->told_count = count;
}

/* set_config(..) of one setting. An older server need not know all that this one has. */
void append_assignment(pg::Str *command, const Named& named, const char *value, bool older)
{
	command->raw(command->empty() ? "SELECT " : ", ");
	if (older && !named.custom)
		command->raw("CASE WHEN pg_catalog.current_setting(")
			.literal(named.name)
			.raw(", true) IS NOT NULL THEN ");
	command->raw("pg_catalog.set_config(").literal(named.name).raw(", ").literal(value);
	command->raw(older && !named.custom ? ", false) END" : ", false)");
}

} // namespace

char *settings_command(Participant *participant)
{
	compare_with_last_look();
	const bool all = !participant->settings_known;
	if (!all && participant->settings_generation == settings->generation)
		return nullptr;

	reserve_told(participant);
	pg::Str command;
	for (int i = 0; i < settings->named.size(); i++)
	{
		const Named& named = settings->named[i];
		char *told = participant->told[i];
		const char *value = value_of(named, told != nullptr);
		if (value == nullptr || (!all && same_text(value, told)))
			continue;
		append_assignment(&command, named, value,
						  remote::server_major(participant->session) < pg::SERVER_MAJOR);
		participant->told[i] =
			MemoryContextStrdup(remote::session_context(participant->session), value);
		if (told != nullptr)
			pfree(told);
	}
	participant->settings_generation = settings->generation;
	participant->settings_known = true;
	return command.empty() ? nullptr : command.c_str();
}

} // namespace civitas::txn
