/*
 * shard_copy_errors.cpp: a failed batch, told in the client's terms.
 *
 * A node says "COPY users_102008, line 7, column a": the seventh line of one batch for one shard.
 * The client sent table users and that row in line 48213; both are put back. All other fields
 * travel as they are.
 */
#include "civitas/catalog/logical_names.h"
#include "civitas/pg/str.h"
#include "shard_copy_internal.h"

CIVITAS_PG_BEGIN
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::executor {

char *original_context(ShardCopy *copy, const Batch *batch, const char *table_name,
					   const char *context)
{
	const catalog::Table& table = *copy->table;
	const char *shard_name =
		catalog::shard_relation_name(table_name, table.shards[batch->shard_index].shard_id);
	pg::Str prefix;
	prefix.raw("COPY ").raw(shard_name);

	pg::Str out;
	for (const char *line = context; line && *line;)
	{
		const char *next = strchr(line, '\n');
		const int length = next ? static_cast<int>(next - line) : static_cast<int>(strlen(line));
		const char *rest = line;
		if (!out.empty())
			out.ch('\n');
		static constexpr char LINE[] = ", line ";
		if (strncmp(line, prefix.c_str(), prefix.length()) == 0 &&
			strncmp(line + prefix.length(), LINE, strlen(LINE)) == 0)
		{
			char *end;
			const long number = strtol(line + prefix.length() + strlen(LINE), &end, 10);
			out.raw("COPY ").raw(table_name);
			if (batch->first_line > 0)
			{
				/* An error after the last row (at the end of the data) belongs to the last one. */
				const int index = number < 1				   ? 0
								  : number > batch->line_count ? batch->line_count - 1
															   : static_cast<int>(number) - 1;
				out.raw(LINE).num(batch->first_line + batch->lines[index]);
			}
			rest = end;
		}
		out.raw(rest, length - static_cast<int>(rest - line));
		line = next ? next + 1 : nullptr;
	}
	return out.c_str();
}

namespace {

char *field_of(const PGresult *result, int code)
{
	const char *value = PQresultErrorField(result, code);
	return value ? pstrdup(value) : nullptr;
}

char *logical_field_of(const PGresult *result, int code)
{
	char *value = field_of(result, code);
	char *logical = value ? catalog::logical_name(value) : nullptr;
	return logical ? logical : value;
}

} // namespace

void raise_batch_error(ShardCopy *copy, Stream *stream, Batch *batch, PGresult *result)
{
	error_context_stack = copy->error_context;
	if (result == nullptr)
		remote::raise_connection_lost(stream->session);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (state == nullptr || PQstatus(remote::connection(stream->session)) == CONNECTION_BAD)
		remote::raise_remote_error(stream->session, result);

	char *message = catalog::logical_text(field_of(result, PG_DIAG_MESSAGE_PRIMARY));
	char *detail = catalog::logical_text(field_of(result, PG_DIAG_MESSAGE_DETAIL));
	char *hint = field_of(result, PG_DIAG_MESSAGE_HINT);
	char *schema = field_of(result, PG_DIAG_SCHEMA_NAME);
	char *table = logical_field_of(result, PG_DIAG_TABLE_NAME);
	char *column = field_of(result, PG_DIAG_COLUMN_NAME);
	char *datatype = field_of(result, PG_DIAG_DATATYPE_NAME);
	char *constraint = logical_field_of(result, PG_DIAG_CONSTRAINT_NAME);
	char *context = field_of(result, PG_DIAG_CONTEXT);
	if (context)
		context = original_context(copy, batch, get_rel_name(copy->table->relid), context);
	const int code = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
	PQclear(result);

	ereport(ERROR,
			(errcode(code), errmsg_internal("%s", message ? message : "a shard's COPY failed"),
			 detail ? errdetail_internal("%s", detail) : 0, hint ? errhint("%s", hint) : 0,
			 schema ? err_generic_string(PG_DIAG_SCHEMA_NAME, schema) : 0,
			 table ? err_generic_string(PG_DIAG_TABLE_NAME, table) : 0,
			 column ? err_generic_string(PG_DIAG_COLUMN_NAME, column) : 0,
			 datatype ? err_generic_string(PG_DIAG_DATATYPE_NAME, datatype) : 0,
			 constraint ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, constraint) : 0,
			 context && *context ? errcontext_msg("%s", context) : 0,
			 errcontext_msg("while copying to %s:%d", remote::host(stream->session),
							remote::port(stream->session))));
	pg_unreachable();
}

} // namespace civitas::executor
