/*
 * shard_copy_rows.cpp: rows that come as Datums.
 *
 * A row travels as a binary COPY tuple when every column's binary form means the same on every
 * node, else as a COPY text line. Binary forms do not when they embed OIDs of objects (arrays and
 * composites of user-defined types, reg* types) or are written in the client's encoding while that
 * differs from the database's.
 */
#include "civitas/pg/str.h"
#include "civitas/pg/transport.h"
#include "shard_copy_internal.h"
#include "values.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "port/pg_bswap.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::executor {

namespace {

bool row_travels_in_binary(TupleDesc row_type, const RowEncoder *encoder)
{
	if (pg_get_client_encoding() != GetDatabaseEncoding())
		return false;
	for (int i = 0; i < encoder->column_count; i++)
		if (!pg::binary_travels(TupleDescAttr(row_type, encoder->attributes[i] - 1)->atttypid))
			return false;
	return true;
}

} // namespace

ShardCopy *shard_copy_begin_rows(const catalog::Table& table, List *columns, TupleDesc row_type,
								 bool freeze)
{
	const int count = list_length(columns);
	auto *encoder = static_cast<RowEncoder *>(palloc0(sizeof(RowEncoder)));
	encoder->row_type = row_type;
	encoder->column_count = count;
	encoder->attributes = static_cast<AttrNumber *>(palloc0(sizeof(AttrNumber) * (count + 1)));
	encoder->functions = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo) * (count + 1)));
	encoder->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "shard copy row", ALLOCSET_DEFAULT_SIZES);
	if (table.kind == catalog::TableKind::Hash)
		encoder->distribution_column = catalog::distribution_column_name(table);

	/* Rows of the table itself are matched by name; of any other row, the fields are the columns in
	 * order. Dropped attributes are passed over. */
	const bool own_rows =
		row_type->natts > 0 && TupleDescAttr(row_type, 0)->attrelid == table.relid;
	int attribute = 0;
	for (int i = 0; i < count; i++)
	{
		if (own_rows)
			attribute = get_attnum(table.relid, strVal(list_nth(columns, i))) - 1;
		while (attribute >= 0 && attribute < row_type->natts &&
			   TupleDescAttr(row_type, attribute)->attisdropped)
			attribute++;
		if (attribute < 0 || attribute >= row_type->natts)
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("row has fewer fields than columns to fill")));
		encoder->attributes[i] = static_cast<AttrNumber>(++attribute);
		if (encoder->distribution_column &&
			strcmp(strVal(list_nth(columns, i)), encoder->distribution_column) == 0)
			encoder->distribution_attribute = encoder->attributes[i];
	}

	ShardCopyFormat format;
	format.binary = row_travels_in_binary(row_type, encoder);
	if (freeze)
		format.options = list_make1(makeDefElem(pstrdup("freeze"), nullptr, -1));
	for (int i = 0; i < count; i++)
	{
		const Oid type = TupleDescAttr(row_type, encoder->attributes[i] - 1)->atttypid;
		Oid function;
		bool is_varlena;
		if (format.binary)
			getTypeBinaryOutputInfo(type, &function, &is_varlena);
		else
			getTypeOutputInfo(type, &function, &is_varlena);
		fmgr_info(function, &encoder->functions[i]);
	}
	ShardCopy *copy = shard_copy_begin(table, columns, format);
	copy->encoder = encoder;
	return copy;
}

/* --- encoding --------------------------------------------------------------------------------- */

namespace {

void append_int16(StringInfo out, int16 value)
{
	const uint16 network = pg_hton16(static_cast<uint16>(value));
	appendBinaryStringInfo(out, reinterpret_cast<const char *>(&network), sizeof(network));
}

void append_int32(StringInfo out, int32 value)
{
	const uint32 network = pg_hton32(static_cast<uint32>(value));
	appendBinaryStringInfo(out, reinterpret_cast<const char *>(&network), sizeof(network));
}

void encode_binary(const RowEncoder *encoder, TupleTableSlot *slot, StringInfo out)
{
	append_int16(out, static_cast<int16>(encoder->column_count));
	for (int i = 0; i < encoder->column_count; i++)
	{
		const int attribute = encoder->attributes[i] - 1;
		if (slot->tts_isnull[attribute])
		{
			append_int32(out, -1);
			continue;
		}
		bytea *value = SendFunctionCall(&encoder->functions[i], slot->tts_values[attribute]);
		append_int32(out, static_cast<int32>(VARSIZE(value) - VARHDRSZ));
		appendBinaryStringInfo(out, VARDATA(value), static_cast<int>(VARSIZE(value) - VARHDRSZ));
	}
}

/* Escapes what COPY's text format treats specially. The database's encodings never hold ASCII bytes
 * inside a character. */
void append_escaped(StringInfo out, const char *text)
{
	const char *start = text;
	for (const char *at = text; *at; at++)
	{
		char escape;
		switch (*at)
		{
		case '\b':
			escape = 'b';
			break;
		case '\f':
			escape = 'f';
			break;
		case '\n':
			escape = 'n';
			break;
		case '\r':
			escape = 'r';
			break;
		case '\t':
			escape = 't';
			break;
		case '\v':
			escape = 'v';
			break;
		case '\\':
			escape = '\\';
			break;
		default:
			continue;
		}
		appendBinaryStringInfo(out, start, static_cast<int>(at - start));
		appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, escape);
		start = at + 1;
	}
	appendStringInfoString(out, start);
}

void encode_text(const RowEncoder *encoder, TupleTableSlot *slot, StringInfo out)
{
	for (int i = 0; i < encoder->column_count; i++)
	{
		const int attribute = encoder->attributes[i] - 1;
		if (i > 0)
			appendStringInfoChar(out, '\t');
		if (slot->tts_isnull[attribute])
			appendStringInfoString(out, "\\N");
		else
			append_escaped(out, text_for_node(&encoder->functions[i], slot->tts_values[attribute]));
	}
	appendStringInfoChar(out, '\n');
}

int shard_of_slot(ShardCopy *copy, TupleTableSlot *slot)
{
	const RowEncoder *encoder = copy->encoder;
	if (copy->table->kind != catalog::TableKind::Hash)
		return 0;
	const int attribute = encoder->distribution_attribute - 1;
	const bool is_null = attribute < 0 || slot->tts_isnull[attribute];
	return catalog::shard_index_of_value(*copy->table,
										 is_null ? Datum{0} : slot->tts_values[attribute], is_null);
}

} // namespace

void shard_copy_slot_line(ShardCopy *copy, TupleTableSlot *slot, int64 line_number)
{
	const RowEncoder *encoder = copy->encoder;
	slot_getallattrs(slot);
	MemoryContext caller_context = MemoryContextSwitchTo(encoder->row_context);
	const int shard_index = shard_of_slot(copy, slot);
	StringInfoData row;
	initStringInfo(&row);
	if (copy->binary)
		encode_binary(encoder, slot, &row);
	else
		encode_text(encoder, slot, &row);
	MemoryContextSwitchTo(caller_context);
	shard_copy_row(copy, shard_index, row.data, row.len, line_number);
	MemoryContextReset(encoder->row_context);
}

void shard_copy_slot(ShardCopy *copy, TupleTableSlot *slot)
{
	shard_copy_slot_line(copy, slot, 0);
}

} // namespace civitas::executor
