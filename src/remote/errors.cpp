/*
 * errors.cpp: what other nodes say, said again here.
 *
 * A remote error is raised with all its fields; names of shards in it are turned back to the names
 * of the tables and indexes that the user knows. Notices arrive inside libpq calls, where nothing
 * may be raised: they are copied with malloc and forwarded once libpq has returned.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::remote {

char *(*logical_name_hook)(const char *shard_level_name);

namespace {

/* The fields of a remote error, copied out of the result. In CurrentMemoryContext; null where not
 * given. */
struct ErrorFields
{
	int code;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *schema;
	const char *table;
	const char *column;
	const char *type;
	const char *constraint;
};
CIVITAS_SERVER_STATE(ErrorFields);

bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		   c == '$' || (c & 0x80) != 0;
}

bool ends_like_shard(const char *name, size_t length)
{
	size_t digits = 0;
	while (digits < length && name[length - digits - 1] >= '0' && name[length - digits - 1] <= '9')
		digits++;
	return digits > 0 && digits + 1 < length && name[length - digits - 1] == '_';
}

/* The logical name of a name that looks like a shard's; null to leave it. Catalog look-ups need a
 * working transaction. */
char *logical_name(const char *name, size_t length)
{
	if (logical_name_hook == nullptr || !IsTransactionState() || !ends_like_shard(name, length) ||
		length >= NAMEDATALEN)
		return nullptr;
	return logical_name_hook(pnstrdup(name, length));
}

const char *translate_name(const char *name)
{
	if (name == nullptr)
		return nullptr;
	const char *logical = logical_name(name, strlen(name));
	return logical != nullptr ? logical : name;
}

/* Translates every shard name in running text. A name is a run of identifier bytes, or all that
 * stands between double quotes. */
const char *translate_text(const char *text)
{
	if (text == nullptr || logical_name_hook == nullptr || !IsTransactionState())
		return text;
	pg::Str translated;
	for (const char *at = text; *at != '\0';)
	{
		size_t length = 0;
		if (*at == '"')
		{
			/* Messages do not double the quotes that are in a name: try each that may end it. */
			char *logical = nullptr;
			const char *end = strchr(at + 1, '"');
			for (; end != nullptr && end - at <= NAMEDATALEN; end = strchr(end + 1, '"'))
			{
				logical = end > at + 1 ? logical_name(at + 1, end - at - 1) : nullptr;
				if (logical != nullptr)
					break;
			}
			if (logical != nullptr)
			{
				translated.ch('"').raw(logical).ch('"');
				at = end + 1;
				continue;
			}
			translated.ch(*at++);
			continue;
		}
		while (is_name_byte(at[length]))
			length++;
		if (length == 0)
		{
			translated.ch(*at++);
			continue;
		}
		char *logical = logical_name(at, length);
		if (logical != nullptr)
			translated.raw(logical);
		else
			translated.raw(at, static_cast<int>(length));
		at += length;
	}
	return translated.c_str();
}

const char *copy_field(const PGresult *result, int field)
{
	const char *value = PQresultErrorField(result, field);
	return value != nullptr ? pstrdup(value) : nullptr;
}

ErrorFields read_fields(const Session *session, const PGresult *result)
{
	ErrorFields fields;
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	fields.code = state != nullptr && strlen(state) == 5
					  ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])
					  : ERRCODE_CONNECTION_FAILURE;
	fields.message = translate_text(copy_field(result, PG_DIAG_MESSAGE_PRIMARY));
	fields.detail = translate_text(copy_field(result, PG_DIAG_MESSAGE_DETAIL));
	fields.hint = translate_text(copy_field(result, PG_DIAG_MESSAGE_HINT));
	fields.context = translate_text(copy_field(result, PG_DIAG_CONTEXT));
	/* It may show parameters. */
	if (session->proof_failed)
		fields.context = nullptr;
	fields.schema = copy_field(result, PG_DIAG_SCHEMA_NAME);
	fields.table = translate_name(copy_field(result, PG_DIAG_TABLE_NAME));
	fields.column = copy_field(result, PG_DIAG_COLUMN_NAME);
	fields.type = copy_field(result, PG_DIAG_DATATYPE_NAME);
	fields.constraint = translate_name(copy_field(result, PG_DIAG_CONSTRAINT_NAME));
	if (fields.message == nullptr)
		fields.message = "the node gave no reason";
	/* "Your session is ended": true of the node's session, not of the client's. */
	if (ERRCODE_TO_CATEGORY(fields.code) == MAKE_SQLSTATE('5', '7', '0', '0', '0') &&
		fields.code != ERRCODE_QUERY_CANCELED)
	{
		fields.code = ERRCODE_CONNECTION_FAILURE;
		fields.detail = fields.message;
		fields.message =
			psprintf("lost the connection to node %s:%d", session->host, session->port);
	}
	return fields;
}

int set_generic(int field, const char *value)
{
	return value != nullptr ? err_generic_string(field, value) : 0;
}

void report(int level, const Session *session, const ErrorFields& fields)
{
	ereport(level,
			(errcode(fields.code), errmsg_internal("%s", fields.message),
			 fields.detail != nullptr ? errdetail_internal("%s", fields.detail) : 0,
			 fields.hint != nullptr ? errhint("%s", fields.hint) : 0,
			 set_generic(PG_DIAG_SCHEMA_NAME, fields.schema),
			 set_generic(PG_DIAG_TABLE_NAME, fields.table),
			 set_generic(PG_DIAG_COLUMN_NAME, fields.column),
			 set_generic(PG_DIAG_DATATYPE_NAME, fields.type),
			 set_generic(PG_DIAG_CONSTRAINT_NAME, fields.constraint),
			 fields.context != nullptr ? errcontext("%s", fields.context) : 0,
			 errcontext("while executing a command on %s:%d", session->host, session->port)));
}

int level_of_severity(const char *severity)
{
	if (severity == nullptr)
		return NOTICE;
	if (strcmp(severity, "DEBUG") == 0)
		return DEBUG1;
	if (strcmp(severity, "LOG") == 0)
		return LOG;
	if (strcmp(severity, "INFO") == 0)
		return INFO;
	if (strcmp(severity, "WARNING") == 0)
		return WARNING;
	return NOTICE;
}

char *malloc_field(const PGresult *result, int field)
{
	const char *value = PQresultErrorField(result, field);
	return value != nullptr ? strdup(value) : nullptr;
}

constexpr int NOTICE_FIELDS[] = {PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_DETAIL,
								 PG_DIAG_MESSAGE_HINT, PG_DIAG_CONTEXT};

/* Runs inside libpq: no palloc, no ereport. */
void receive_notice(void *argument, const PGresult *result)
{
	Session *session = static_cast<Session *>(argument);
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity != nullptr && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
	{
		session->farewell = true;
		return;
	}
	const int level = level_of_severity(severity);
	if (session->discard_notices || session->proving ||
		(level < worker_min_messages && level != INFO))
		return;

	PendingNotice *notice = static_cast<PendingNotice *>(calloc(1, sizeof(PendingNotice)));
	if (notice == nullptr)
		return;
	notice->level = level;
	for (int i = 0; i < 5; i++)
		notice->fields[i] = malloc_field(result, NOTICE_FIELDS[i]);
	if (session->last_notice != nullptr)
		session->last_notice->next = notice;
	else
		session->first_notice = notice;
	session->last_notice = notice;
}

void free_notice(PendingNotice *notice)
{
	for (char *field : notice->fields)
		free(field);
	free(notice);
}

PendingNotice *pop_notice(Session *session)
{
	PendingNotice *notice = session->first_notice;
	if (notice == nullptr)
		return nullptr;
	session->first_notice = notice->next;
	if (session->first_notice == nullptr)
		session->last_notice = nullptr;
	return notice;
}

const char *copy_and_translate(const char *text)
{
	return text != nullptr ? translate_text(pstrdup(text)) : nullptr;
}

bool mentions_password(const char *sql)
{
	for (const char *at = sql; *at != '\0'; at++)
	{
		if (pg_strncasecmp(at, "password", 8) == 0)
			return true;
	}
	return false;
}

} // namespace

void raise_remote_error(Session *session, PGresult *result)
{
	/* libpq's own words, when there is no message of the server. */
	if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == nullptr)
	{
		if (PQstatus(session->conn) != CONNECTION_OK)
		{
			release(result);
			raise_connection_lost(session);
		}
		char *message = pstrdup(PQresultErrorMessage(result));
		const ExecStatusType status = PQresultStatus(result);
		release(result);
		ereport(ERROR, (errcode(ERRCODE_CONNECTION_EXCEPTION),
						errmsg("unexpected answer from node %s:%d", session->host, session->port),
						errdetail_internal("%s%s", PQresStatus(status), message)));
	}
	const ErrorFields fields = read_fields(session, result);
	release(result);
	if (PQstatus(session->conn) != CONNECTION_OK)
		mark_failed(session);
	report(ERROR, session, fields);
	pg_unreachable();
}

void report_remote_error(int level, Session *session, const PGresult *result)
{
	report(level, session, read_fields(session, result));
}

ErrorData *error_data(const Session *session, const PGresult *result)
{
	const ErrorFields fields = read_fields(session, result);
	ErrorData *error = static_cast<ErrorData *>(palloc0(sizeof(ErrorData)));
	error->elevel = ERROR;
	error->sqlerrcode = fields.code;
	error->message = const_cast<char *>(fields.message);
	error->detail = const_cast<char *>(fields.detail);
	error->hint = const_cast<char *>(fields.hint);
	error->context = const_cast<char *>(fields.context);
	error->schema_name = const_cast<char *>(fields.schema);
	error->table_name = const_cast<char *>(fields.table);
	error->column_name = const_cast<char *>(fields.column);
	error->datatype_name = const_cast<char *>(fields.type);
	error->constraint_name = const_cast<char *>(fields.constraint);
	return error;
}

void raise_connection_lost(Session *session)
{
	char *message = safe_connection_message(session);
	mark_failed(session);
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("lost the connection to node %s:%d", session->host, session->port),
					errdetail_internal("%s", message)));
}

void install_notice_receiver(Session *session)
{
	PQsetNoticeReceiver(session->conn, receive_notice, session);
}

void forward_notices(Session *session)
{
	for (PendingNotice *notice; (notice = pop_notice(session)) != nullptr;)
	{
		const char *state = notice->fields[0];
		const int level = notice->level;
		const int code = state != nullptr && strlen(state) == 5
							 ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])
							 : ERRCODE_SUCCESSFUL_COMPLETION;
		const char *message = copy_and_translate(notice->fields[1]);
		const char *detail = copy_and_translate(notice->fields[2]);
		const char *hint = copy_and_translate(notice->fields[3]);
		const char *context = copy_and_translate(notice->fields[4]);
		free_notice(notice);
		ereport(level, (errcode(code), errmsg_internal("%s", message != nullptr ? message : ""),
						detail != nullptr ? errdetail_internal("%s", detail) : 0,
						hint != nullptr ? errhint("%s", hint) : 0,
						context != nullptr ? errcontext("%s", context) : 0));
	}
}

void drop_notices(Session *session)
{
	for (PendingNotice *notice; (notice = pop_notice(session)) != nullptr;)
		free_notice(notice);
}

void log_command(const Session *session, const char *sql)
{
	if (!log_remote_commands)
		return;
	if (mentions_password(sql))
		sql = "(a command that may hold a password)";
	ereport(NOTICE, (errmsg("issuing %s", sql),
					 errdetail("on server %s@%s:%d", session->user, session->host, session->port)));
}

} // namespace civitas::remote
