/*
 * values.h: Datums to statement parameters, results to Datums.
 */
#pragma once

#include "civitas/pg/server.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/params.h"
CIVITAS_PG_END

namespace civitas::executor {

/* Values of a statement, evaluated. `encoded` is filled on first use, so that tasks share it. */
struct Values
{
	int count;
	Oid *types; /* as declared in the plan */
	Datum *datums;
	bool *nulls;
	remote::Parameters *encoded;
};
CIVITAS_SERVER_STATE(Values);

/* Room for `count` values in CurrentMemoryContext. */
Values *make_values(int count);
/* The values for a remote statement: binary where both sides agree on the format whatever their
 * settings, else text. Types that other nodes may know under another oid are declared as 0. */
const remote::Parameters& encode(Values *values);
/* The values for a statement run here; null for none. */
ParamListInfo local_parameters(const Values *values);

/*
 * Between these two, text has all digits of floats, and NULL in arrays means NULL, whatever the
 * client wants of extra_float_digits and array_nulls: so is what goes between nodes. An error ends
 * it too. 0: that is in force already.
 */
int begin_whole_text();
void end_whole_text(int level);
/* A value as such text, and back. In CurrentMemoryContext. */
char *text_for_node(FmgrInfo *output, Datum value);
Datum value_from_text(FmgrInfo *input, const char *text, Oid io_parameter, int32 typmod);

/* Whether text leaves and enters this backend unconverted: else binary formats, which convert to
 * the client's encoding, are of no use between nodes. */
bool encodings_agree();

enum class Coding : char
{
	Bool,
	Int2,
	Int4,
	Int8,
	Text,	 /* a varlena of characters: its bytes */
	Receive, /* the type's receive function */
	Input	 /* the type's input function */
};

struct Column
{
	Coding coding;
	bool looked_up;
	Oid type;
	Oid io_parameter;
	int32 typmod;
	FmgrInfo function;
};
CIVITAS_SERVER_STATE(Column);

/* Turns rows of results into Datums of a row type. */
struct Decoder
{
	int count;
	bool binary;
	MemoryContext context; /* of the decoder itself: what the functions remember lives there */
	Column *columns;
};
CIVITAS_SERVER_STATE(Decoder);

Decoder *make_decoder(TupleDesc row_type, bool binary);
/* Row `row` of the result; by-reference values in CurrentMemoryContext. Raises XX001 when the
 * result's shape is not that of the row type. */
void decode_row(Decoder *decoder, const PGresult *result, int row, Datum *values, bool *nulls);

} // namespace civitas::executor
