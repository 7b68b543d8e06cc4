/*
 * statements.cpp: citus_stat_statements: how often which statement was run for whom, by which value
 * of the distribution column.
 *
 * Two hash tables in shared memory behind one lock: calls by (user, database, statement, kind,
 * value), and the text of each statement with its constants replaced by $1, $2, ... The text is
 * made when a statement is analysed, here, so that pg_stat_statements need not be loaded; its
 * identifier is PostgreSQL's own (and computed here where nothing else asked for it), so that
 * both can be joined. When a table is full, the entries with the fewest calls make room.
 */
#include "civitas/pg/server.h"

#include "stats_internal.h"

#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_authid.h"
#include "common/keywords.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/scanner.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::stats {

namespace {

constexpr int MAX_ENTRIES = 10000;
constexpr int MAX_TEXTS = 2000;
constexpr int TEXT_SIZE = 1024;

struct EntryKey
{
	uint64 query_id;
	Oid user;
	Oid database;
	int32 insert_select;
	char has_partition_key;
	char partition_key[NAMEDATALEN];
};

struct Entry
{
	EntryKey key;
	int64 calls;
};

struct TextKey
{
	uint64 query_id;
	Oid database;
	Oid unused;
};

struct Text
{
	TextKey key;
	int64 uses;
	char text[TEXT_SIZE];
};

enum Track
{
	TRACK_NONE,
	TRACK_ALL
};

constexpr const char LOCK_NAME[] = "civitas statements";

LWLock *lock;
HTAB *entries;
HTAB *texts;
int stat_statements_track;
post_parse_analyze_hook_type previous_analyze_hook;

const config_enum_entry tracks[] = {
	{"none", TRACK_NONE, false},
	{"all", TRACK_ALL, false},
	{nullptr, 0, false},
};

Size shared_size()
{
	return add_size(hash_estimate_size(MAX_ENTRIES, sizeof(Entry)),
					hash_estimate_size(MAX_TEXTS, sizeof(Text)));
}

void attach()
{
	HASHCTL control;
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(EntryKey);
	control.entrysize = sizeof(Entry);
	entries = ShmemInitHash("civitas statements", MAX_ENTRIES / 10, MAX_ENTRIES, &control,
							HASH_ELEM | HASH_BLOBS);
	control.keysize = sizeof(TextKey);
	control.entrysize = sizeof(Text);
	texts = ShmemInitHash("civitas statement texts", MAX_TEXTS / 10, MAX_TEXTS, &control,
						  HASH_ELEM | HASH_BLOBS);
	lock = pg::shared_lock(LOCK_NAME);
}

pg::SharedMemory memory = {shared_size, attach, LOCK_NAME, nullptr};

/* --- texts ------------------------------------------------------------------------------------ */

bool names_metadata_table(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		const Query *query = castNode(Query, node);
		ListCell *cell;
		foreach (cell, query->rtable)
		{
			const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
			if (rte->rtekind == RTE_RELATION && catalog::find_table(rte->relid) != nullptr)
				return true;
		}
		return pg::walk_query(castNode(Query, node), names_metadata_table, context);
	}
	return pg::walk_children(node, names_metadata_table, context);
}

int compare_locations(const void *left, const void *right)
{
	return static_cast<const LocationLen *>(left)->location -
		   static_cast<const LocationLen *>(right)->location;
}

/* The statement's part of the text, each constant replaced by a parameter. */
char *without_constants(const char *source, const Query *query, JumbleState *jumble)
{
	int location = query->stmt_location;
	int length = query->stmt_len;
	const char *text = CleanQuerytext(source, &location, &length);
	char *copy = pnstrdup(text, length);
	if (jumble == nullptr || jumble->clocations_count == 0)
		return copy;

	qsort(jumble->clocations, jumble->clocations_count, sizeof(LocationLen), compare_locations);
	core_yy_extra_type extra;
	core_yyscan_t scanner = scanner_init(copy, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;
	StringInfoData result;
	initStringInfo(&result);
	int copied = 0;
	int next = 0; /* constant to be found */
	int number = pg::highest_parameter(jumble);
	core_YYSTYPE value;
	YYLTYPE offset;
	while (next < jumble->clocations_count && core_yylex(&value, &offset, scanner) != 0)
	{
		while (next < jumble->clocations_count &&
			   jumble->clocations[next].location - location < offset)
		{
			const LocationLen& place = jumble->clocations[next++];
			const int begin = place.location - location;
			const int list = pg::squashed_length(place);
			if (list == 0 || begin < copied)
				continue; /* a second mention of the one before */
			appendBinaryStringInfo(&result, copy + copied, begin - copied);
			appendStringInfo(&result, "$%d /*, ... */", ++number);
			copied = begin + list;
		}
		if (next == jumble->clocations_count ||
			jumble->clocations[next].location - location != offset ||
			pg::squashed_length(jumble->clocations[next]) != 0)
			continue;
		if (pg::keeps_number(jumble, jumble->clocations[next]))
		{
			next++;
			continue;
		}
		/* A minus belongs to the number behind it. */
		const int begin = offset;
		if (copy[begin] == '-' && core_yylex(&value, &offset, scanner) == 0)
			break;
		appendBinaryStringInfo(&result, copy + copied, begin - copied);
		appendStringInfo(&result, "$%d", ++number);
		/* The scanner has put an end behind the token. */
		copied = offset + static_cast<int>(strlen(extra.scanbuf + offset));
		next++;
	}
	scanner_finish(scanner);
	appendStringInfoString(&result, copy + copied);
	return result.data;
}

/* With the lock held exclusively: removes a tenth of a full table, those with the fewest uses. */
template <typename Element, int64 Element::*uses> void make_room(HTAB *table, long most)
{
	if (hash_get_num_entries(table) < most)
		return;
	HASH_SEQ_STATUS status;
	int64 total = 0;
	hash_seq_init(&status, table);
	while (const void *found = hash_seq_search(&status))
		total += static_cast<const Element *>(found)->*uses;
	const int64 average = total / most;
	long remove = most / 10;
	hash_seq_init(&status, table);
	while (void *found = hash_seq_search(&status))
	{
		Element *element = static_cast<Element *>(found);
		if (element->*uses > average)
		{
			/* Old merits count less each time. */
			element->*uses -= element->*uses / 8;
			continue;
		}
		if (remove-- > 0)
			hash_search(table, &element->key, HASH_REMOVE, nullptr);
	}
}

void remember_text(const char *source, const Query *query, JumbleState *jumble)
{
	TextKey key;
	memset(&key, 0, sizeof(key));
	key.query_id = query->queryId;
	key.database = MyDatabaseId;
	LWLockAcquire(lock, LW_SHARED);
	const bool known = hash_search(texts, &key, HASH_FIND, nullptr) != nullptr;
	LWLockRelease(lock);
	if (known)
		return;
	char *text = without_constants(source, query, jumble);
	const int length = static_cast<int>(strlen(text));
	text[pg_mbcliplen(text, length, TEXT_SIZE - 1)] = '\0';
	LWLockAcquire(lock, LW_EXCLUSIVE);
	make_room<Text, &Text::uses>(texts, MAX_TEXTS);
	bool found;
	Text *entry = static_cast<Text *>(hash_search(texts, &key, HASH_ENTER_NULL, &found));
	if (entry != nullptr && !found)
	{
		entry->uses = 0;
		strlcpy(entry->text, text, TEXT_SIZE);
	}
	LWLockRelease(lock);
}

void after_analysis(ParseState *state, Query *query, JumbleState *jumble)
{
	if (previous_analyze_hook != nullptr)
		previous_analyze_hook(state, query, jumble);
	if (stat_statements_track == TRACK_NONE || query->utilityStmt != nullptr ||
		state->p_sourcetext == nullptr || !OidIsValid(MyDatabaseId) ||
		!names_metadata_table(reinterpret_cast<Node *>(query), nullptr))
		return;
	if (query->queryId == 0)
		jumble = pg::jumble_query(query, state->p_sourcetext);
	remember_text(state->p_sourcetext, query, jumble);
}

} // namespace

bool counts_statements()
{
	return stat_statements_track == TRACK_ALL;
}

void count_statement(uint64 query_id, bool insert_select, const char *partition_key)
{
	if (query_id == 0)
		return;
	EntryKey key;
	memset(&key, 0, sizeof(key));
	key.query_id = query_id;
	key.user = GetUserId();
	key.database = MyDatabaseId;
	key.insert_select = insert_select;
	if (partition_key != nullptr)
	{
		key.has_partition_key = 1;
		const int length = static_cast<int>(strlen(partition_key));
		memcpy(key.partition_key, partition_key,
			   pg_mbcliplen(partition_key, length, NAMEDATALEN - 1));
	}
	LWLockAcquire(lock, LW_EXCLUSIVE);
	Entry *entry = static_cast<Entry *>(hash_search(entries, &key, HASH_FIND, nullptr));
	if (entry == nullptr)
	{
		make_room<Entry, &Entry::calls>(entries, MAX_ENTRIES);
		entry = static_cast<Entry *>(hash_search(entries, &key, HASH_ENTER_NULL, nullptr));
		if (entry != nullptr)
			entry->calls = 0;
	}
	if (entry != nullptr)
		entry->calls++;
	TextKey text_key;
	memset(&text_key, 0, sizeof(text_key));
	text_key.query_id = query_id;
	text_key.database = MyDatabaseId;
	Text *text = static_cast<Text *>(hash_search(texts, &text_key, HASH_FIND, nullptr));
	if (text != nullptr)
		text->uses++;
	LWLockRelease(lock);
}

void statements_init()
{
	DefineCustomEnumVariable(
		"citus.stat_statements_track", "Which statements citus_stat_statements counts.",
		"all: those that name a distributed or reference table.", &stat_statements_track,
		TRACK_NONE, tracks, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	pg::use_shared_memory(&memory);
	previous_analyze_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = after_analysis;
}

} // namespace civitas::stats

CIVITAS_PG_BEGIN

/* citus_stat_statements(): other users' statements without text and value, except for those who may
 * read all statistics. */
PG_FUNCTION_INFO_V1(citus_stat_statements);
PGDLLEXPORT Datum citus_stat_statements(PG_FUNCTION_ARGS)
{
	using namespace civitas::stats;
	const bool all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
	InitMaterializedSRF(fcinfo, 0);
	const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	LWLockAcquire(lock, LW_SHARED);
	HASH_SEQ_STATUS status;
	hash_seq_init(&status, entries);
	while (const void *found = hash_seq_search(&status))
	{
		const Entry *entry = static_cast<const Entry *>(found);
		const bool open = all || entry->key.user == GetUserId();
		TextKey key;
		memset(&key, 0, sizeof(key));
		key.query_id = entry->key.query_id;
		key.database = entry->key.database;
		const Text *text = static_cast<const Text *>(hash_search(texts, &key, HASH_FIND, nullptr));
		Datum values[7] = {};
		bool nulls[7] = {};
		values[0] = Int64GetDatum(static_cast<int64>(entry->key.query_id));
		nulls[0] = !open;
		values[1] = ObjectIdGetDatum(entry->key.user);
		values[2] = ObjectIdGetDatum(entry->key.database);
		nulls[3] = open && text == nullptr;
		if (!nulls[3])
			values[3] = CStringGetTextDatum(open ? text->text : "<insufficient privilege>");
		values[4] = Int64GetDatum(entry->key.insert_select ? 2 : 1);
		nulls[5] = !open || !entry->key.has_partition_key;
		if (!nulls[5])
			values[5] = CStringGetTextDatum(entry->key.partition_key);
		values[6] = Int64GetDatum(entry->calls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	LWLockRelease(lock);
	return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(citus_stat_statements_reset);
PGDLLEXPORT Datum citus_stat_statements_reset(PG_FUNCTION_ARGS)
{
	using namespace civitas::stats;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	HASH_SEQ_STATUS status;
	hash_seq_init(&status, entries);
	while (void *found = hash_seq_search(&status))
		hash_search(entries, &static_cast<Entry *>(found)->key, HASH_REMOVE, nullptr);
	LWLockRelease(lock);
	PG_RETURN_VOID();
}

CIVITAS_PG_END
