/*
 * values.cpp: Datums to statement parameters, results to Datums.
 *
 * Numbers, dates and the like travel in binary: exact, and free of DateStyle and its kin.
 * Characters travel as they are in the server's encoding, which every session between nodes uses.
 * What is left goes through the type's text form.
 */
#include "values.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::executor {

namespace {

void set_here(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

} // namespace

int begin_whole_text()
{
	if (Array_nulls && extra_float_digits >= 1)
		return 0;
	const int level = NewGUCNestLevel();
	set_here("array_nulls", "on");
	if (extra_float_digits < 1)
		set_here("extra_float_digits", "1");
	return level;
}

void end_whole_text(int level)
{
	if (level != 0)
		AtEOXact_GUC(true, level);
}

char *text_for_node(FmgrInfo *output, Datum value)
{
	const int level = begin_whole_text();
	char *text = OutputFunctionCall(output, value);
	end_whole_text(level);
	return text;
}

Datum value_from_text(FmgrInfo *input, const char *text, Oid io_parameter, int32 typmod)
{
	const int level = begin_whole_text();
	const Datum value = InputFunctionCall(input, const_cast<char *>(text), io_parameter, typmod);
	end_whole_text(level);
	return value;
}

namespace {

/* Types whose binary form depends on no setting and on no encoding. */
bool travels_in_binary(Oid type)
{
	switch (type)
	{
	case BOOLOID:
	case INT2OID:
	case INT4OID:
	case INT8OID:
	case FLOAT4OID:
	case FLOAT8OID:
	case NUMERICOID:
	case OIDOID:
	case DATEOID:
	case TIMEOID:
	case TIMETZOID:
	case TIMESTAMPOID:
	case TIMESTAMPTZOID:
	case INTERVALOID:
	case UUIDOID:
	case BYTEAOID:
	case INT2ARRAYOID:
	case INT4ARRAYOID:
	case INT8ARRAYOID:
	case FLOAT4ARRAYOID:
	case FLOAT8ARRAYOID:
	case NUMERICARRAYOID:
	case DATEARRAYOID:
	case TIMESTAMPARRAYOID:
	case TIMESTAMPTZARRAYOID:
	case UUIDARRAYOID:
		return true;
	default:
		return false;
	}
}

struct Encoded
{
	const char *bytes;
	int length;
	int format;
};

template <typename T> Encoded encoded_number(T network_order)
{
	T *bytes = static_cast<T *>(palloc(sizeof(T)));
	memcpy(bytes, &network_order, sizeof(T));
	return {reinterpret_cast<const char *>(bytes), static_cast<int>(sizeof(T)), 1};
}

Encoded encode_value(Oid type, Datum value)
{
	switch (type)
	{
	case INT2OID:
		return encoded_number<uint16>(pg_hton16(DatumGetInt16(value)));
	case INT4OID:
	case DATEOID:
		return encoded_number<uint32>(pg_hton32(DatumGetInt32(value)));
	case INT8OID:
	case TIMESTAMPOID:
	case TIMESTAMPTZOID:
		return encoded_number<uint64>(pg_hton64(DatumGetInt64(value)));
	case TEXTOID:
	case VARCHAROID: {
		char *characters = TextDatumGetCString(value);
		return {characters, 0, 0};
	}
	default:
		break;
	}
	Oid function;
	bool is_varlena;
	if (travels_in_binary(type))
	{
		getTypeBinaryOutputInfo(type, &function, &is_varlena);
		bytea *bytes = OidSendFunctionCall(function, value);
		return {VARDATA_ANY(bytes), static_cast<int>(VARSIZE_ANY_EXHDR(bytes)), 1};
	}
	getTypeOutputInfo(type, &function, &is_varlena);
	FmgrInfo output;
	fmgr_info(function, &output);
	return {text_for_node(&output, value), 0, 0};
}

} // namespace

Values *make_values(int count)
{
	Values *values = static_cast<Values *>(palloc0(sizeof(Values)));
	values->count = count;
	if (count > 0)
	{
		values->types = static_cast<Oid *>(palloc(sizeof(Oid) * count));
		values->datums = static_cast<Datum *>(palloc(sizeof(Datum) * count));
		values->nulls = static_cast<bool *>(palloc(sizeof(bool) * count));
	}
	return values;
}

const remote::Parameters& encode(Values *values)
{
	if (values->encoded)
		return *values->encoded;
	const int count = values->count;
	remote::Parameters *encoded =
		static_cast<remote::Parameters *>(palloc0(sizeof(remote::Parameters)));
	encoded->count = count;
	if (count > 0)
	{
		Oid *types = static_cast<Oid *>(palloc(sizeof(Oid) * count));
		const char **bytes = static_cast<const char **>(palloc0(sizeof(char *) * count));
		int *lengths = static_cast<int *>(palloc0(sizeof(int) * count));
		int *formats = static_cast<int *>(palloc0(sizeof(int) * count));
		for (int index = 0; index < count; index++)
		{
			const Oid type = values->types[index];
			types[index] = type >= FirstNormalObjectId ? InvalidOid : type;
			if (values->nulls[index])
				continue;
			const Encoded value = encode_value(type, values->datums[index]);
			bytes[index] = value.bytes;
			lengths[index] = value.length;
			formats[index] = value.format;
		}
		encoded->types = types;
		encoded->values = bytes;
		encoded->lengths = lengths;
		encoded->formats = formats;
	}
	values->encoded = encoded;
	return *encoded;
}

ParamListInfo local_parameters(const Values *values)
{
	if (values->count == 0)
		return nullptr;
	ParamListInfo list = makeParamList(values->count);
	for (int index = 0; index < values->count; index++)
	{
		list->params[index].value = values->datums[index];
		list->params[index].isnull = values->nulls[index];
		list->params[index].pflags = PARAM_FLAG_CONST;
		list->params[index].ptype = values->types[index];
	}
	return list;
}

bool encodings_agree()
{
	return pg_get_client_encoding() == GetDatabaseEncoding();
}

/* --- results --------------------------------------------------------------------------------- */

namespace {

Coding coding_of(Oid type, bool binary)
{
	switch (type)
	{
	case TEXTOID:
	case VARCHAROID:
		return Coding::Text;
	case BPCHAROID:
		return binary ? Coding::Text : Coding::Input;
	case BOOLOID:
		return binary ? Coding::Bool : Coding::Input;
	case INT2OID:
		return binary ? Coding::Int2 : Coding::Input;
	case INT4OID:
	case OIDOID:
	case DATEOID:
		return binary ? Coding::Int4 : Coding::Input;
	case INT8OID:
	case TIMESTAMPOID:
	case TIMESTAMPTZOID:
		return binary ? Coding::Int8 : Coding::Input;
	default:
		return binary ? Coding::Receive : Coding::Input;
	}
}

void look_up(Column& column, MemoryContext context)
{
	Oid function;
	if (column.coding == Coding::Receive)
		getTypeBinaryInputInfo(column.type, &function, &column.io_parameter);
	else
		getTypeInputInfo(column.type, &function, &column.io_parameter);
	fmgr_info_cxt(function, &column.function, context);
	column.looked_up = true;
}

Datum receive(Column& column, const char *bytes, int length)
{
	StringInfoData buffer;
	buffer.data = const_cast<char *>(bytes);
	buffer.len = length;
	buffer.maxlen = length + 1;
	buffer.cursor = 0;
	const Datum value =
		ReceiveFunctionCall(&column.function, &buffer, column.io_parameter, column.typmod);
	if (buffer.cursor != length)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("a node sent a value of type %u that is too long", column.type)));
	return value;
}

[[noreturn]] void raise_wrong_shape(int got, int expected)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("a node sent %d columns where %d were expected", got, expected)));
}

template <typename T> T network_number(const char *bytes, int length)
{
	if (length != sizeof(T))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("a node sent a value of %d bytes where %d were expected", length,
							   static_cast<int>(sizeof(T)))));
	T number;
	memcpy(&number, bytes, sizeof(T));
	return number;
}

Datum decode_value(Column& column, MemoryContext context, const char *bytes, int length)
{
	switch (column.coding)
	{
	case Coding::Bool:
		return BoolGetDatum(network_number<uint8>(bytes, length) != 0);
	case Coding::Int2:
		return Int16GetDatum(static_cast<int16>(pg_ntoh16(network_number<uint16>(bytes, length))));
	case Coding::Int4:
		return Int32GetDatum(static_cast<int32>(pg_ntoh32(network_number<uint32>(bytes, length))));
	case Coding::Int8:
		return Int64GetDatum(static_cast<int64>(pg_ntoh64(network_number<uint64>(bytes, length))));
	case Coding::Text:
		return PointerGetDatum(cstring_to_text_with_len(bytes, length));
	case Coding::Receive:
	case Coding::Input:
		break;
	}
	if (!column.looked_up)
		look_up(column, context);
	if (column.coding == Coding::Receive)
		return receive(column, bytes, length);
	return value_from_text(&column.function, bytes, column.io_parameter, column.typmod);
}

} // namespace

Decoder *make_decoder(TupleDesc row_type, bool binary)
{
	Decoder *decoder = static_cast<Decoder *>(palloc(sizeof(Decoder)));
	decoder->count = row_type->natts;
	decoder->binary = binary;
	decoder->context = CurrentMemoryContext;
	decoder->columns = static_cast<Column *>(palloc0(sizeof(Column) * (row_type->natts + 1)));
	for (int index = 0; index < row_type->natts; index++)
	{
		const Form_pg_attribute attribute = TupleDescAttr(row_type, index);
		Column& column = decoder->columns[index];
		column.type = attribute->atttypid;
		column.typmod = attribute->atttypmod;
		column.coding = coding_of(attribute->atttypid, binary);
	}
	return decoder;
}

void decode_row(Decoder *decoder, const PGresult *result, int row, Datum *values, bool *nulls)
{
	const int count = decoder->count;
	if (count == 0)
		return;
	if (PQnfields(result) != count)
		raise_wrong_shape(PQnfields(result), count);
	for (int index = 0; index < count; index++)
	{
		nulls[index] = PQgetisnull(result, row, index) != 0;
		if (nulls[index])
		{
			values[index] = 0;
			continue;
		}
		values[index] =
			decode_value(decoder->columns[index], decoder->context, PQgetvalue(result, row, index),
						 PQgetlength(result, row, index));
	}
}

} // namespace civitas::executor
