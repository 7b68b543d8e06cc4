/*
 * change_stream.cpp: reading pgoutput's messages.
 *
 * The source decodes into a tuplestore, which a cursor hands out piece by piece, so memory is
 * bounded here however large a transaction was. A slot that was read has moved on whatever becomes
 * of the reader's transaction: who fails half-way starts over with a new slot.
 */
#include "change_stream.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "libpq/pqformat.h"
#include "utils/builtins.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* Flag of a column in a table's description. */
constexpr int KEY_COLUMN = 1;

ChangedTable *read_table(StringInfo message, MemoryContext context)
{
	const MemoryContext previous = MemoryContextSwitchTo(context);
	auto *table = static_cast<ChangedTable *>(palloc0(sizeof(ChangedTable)));
	*table = ChangedTable();
	table->id = pq_getmsgint(message, 4);
	const char *schema = pq_getmsgstring(message);
	const char *name = pq_getmsgstring(message);
	table->name = quote_qualified_identifier(schema[0] != '\0' ? schema : "pg_catalog", name);
	table->full_identity = pq_getmsgbyte(message) == 'f';
	const int count = static_cast<int>(pq_getmsgint(message, 2));
	for (int i = 0; i < count; i++)
	{
		table->is_key.push((pq_getmsgbyte(message) & KEY_COLUMN) != 0);
		table->columns.push(pstrdup(pq_getmsgstring(message)));
		pq_getmsgint(message, 4);
		pq_getmsgint(message, 4);
	}
	MemoryContextSwitchTo(previous);
	return table;
}

std::span<const ChangeValue> read_row(StringInfo message)
{
	const int count = static_cast<int>(pq_getmsgint(message, 2));
	auto *values = static_cast<ChangeValue *>(palloc0(sizeof(ChangeValue) * (count + 1)));
	for (int i = 0; i < count; i++)
	{
		const int kind = pq_getmsgbyte(message);
		if (kind == 'n')
			values[i].kind = ChangeValue::Kind::Null;
		else if (kind == 'u')
			values[i].kind = ChangeValue::Kind::Unchanged;
		else if (kind == 't')
		{
			const int length = static_cast<int>(pq_getmsgint(message, 4));
			values[i].kind = ChangeValue::Kind::Text;
			values[i].text = pnstrdup(pq_getmsgbytes(message, length), length);
		}
		else
			ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
							errmsg("unknown kind of column %d in a change", kind)));
	}
	return {values, static_cast<size_t>(count)};
}

} // namespace

Change read_change(const char *data, int length, MemoryContext table_context)
{
	StringInfoData text;
	initStringInfo(&text);
	appendBinaryStringInfo(&text, data, length);
	StringInfo message = &text;
	Change change = {Change::Kind::Other, nullptr, 0, {}, {}};
	int part;
	switch (pq_getmsgbyte(message))
	{
	case 'R':
		change.kind = Change::Kind::Table;
		change.table = read_table(message, table_context);
		break;
	case 'I':
		change.kind = Change::Kind::Insert;
		change.table_id = pq_getmsgint(message, 4);
		pq_getmsgbyte(message);
		change.new_row = read_row(message);
		break;
	case 'U':
		change.kind = Change::Kind::Update;
		change.table_id = pq_getmsgint(message, 4);
		part = pq_getmsgbyte(message);
		if (part == 'K' || part == 'O')
		{
			change.old_row = read_row(message);
			pq_getmsgbyte(message);
		}
		change.new_row = read_row(message);
		break;
	case 'D':
		change.kind = Change::Kind::Delete;
		change.table_id = pq_getmsgint(message, 4);
		pq_getmsgbyte(message);
		change.old_row = read_row(message);
		break;
	case 'T':
		change.kind = Change::Kind::Truncate;
		break;
	default:
		break;
	}
	return change;
}

void open_changes(remote::Session *session, const char *slot, const char *publication,
				  const char *upto)
{
	pg::Str sql;
	/* Values are written as text under these, and read again by another server. */
	sql.raw("SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; "
			"BEGIN; DECLARE changes BINARY NO SCROLL CURSOR FOR SELECT data FROM "
			"pg_catalog.pg_logical_slot_get_binary_changes(");
	sql.literal(slot).raw(", ").literal(upto).raw(", NULL, 'proto_version', '1', ");
	sql.raw("'publication_names', ").literal(quote_identifier(publication)).ch(')');
	remote::execute(session, sql.c_str());
}

PGresult *fetch_changes(remote::Session *session)
{
	return remote::query(session, "FETCH 500 FROM changes");
}

} // namespace civitas::cluster
