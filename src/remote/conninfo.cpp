/*
 * conninfo.cpp: what a connection to another node is made of.
 *
 * Three layers, later ones win: defaults for keepalives and time-outs, citus.node_conninfo, the
 * node's authinfo; on top of them what cannot be changed: host, port, user, database, name,
 * encoding. The first two are checked against a list of keys, so that no setting can send a session
 * elsewhere. Secrets (authinfo) never reach a message: libpq's text is dropped where it holds one.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/base/authinfo.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
CIVITAS_PG_END

#include <algorithm>
#include <span>

namespace civitas::remote {

char *node_conninfo;
uint64 conninfo_generation;
int node_connection_timeout;
bool log_remote_commands;
int worker_min_messages;

int64 (*global_pid_hook)();

namespace {

constexpr const char CONNECTION_TIMEOUT[] = "citus.node_connection_timeout";

/* Keys that say how to connect but not where to or as whom. */
constexpr std::string_view conninfo_keys[] = {"sslmode",
											  "sslcert",
											  "sslkey",
											  "sslrootcert",
											  "sslcrl",
											  "sslcrldir",
											  "sslcompression",
											  "sslsni",
											  "sslnegotiation",
											  "sslcertmode",
											  "ssl_min_protocol_version",
											  "ssl_max_protocol_version",
											  "min_protocol_version",
											  "max_protocol_version",
											  "channel_binding",
											  "require_auth",
											  "gssencmode",
											  "gsslib",
											  "krbsrvname",
											  "gssdelegation",
											  "connect_timeout",
											  "keepalives",
											  "keepalives_idle",
											  "keepalives_interval",
											  "keepalives_count",
											  "tcp_user_timeout"};

using Keys = std::span<const std::string_view>;

bool key_is_in(std::string_view key, Keys keys)
{
	return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/*
 * Checks that text is a conninfo string with keys of the list only. On failure the key (or "" when
 * it does not parse) is copied to `bad_key`. Values are never copied.
 */
bool conninfo_has_only(const char *text, Keys keys, char (&bad_key)[64])
{
	bad_key[0] = '\0';
	char *message = nullptr;
	PQconninfoOption *options = PQconninfoParse(text, &message);
	if (message != nullptr)
		PQfreemem(message);
	if (options == nullptr)
		return false;

	bool good = true;
	for (PQconninfoOption *option = options; option->keyword != nullptr; option++)
	{
		if (option->val != nullptr && !key_is_in(option->keyword, keys))
		{
			strlcpy(bad_key, option->keyword, sizeof(bad_key));
			good = false;
			break;
		}
	}
	PQconninfoFree(options);
	return good;
}

bool check_node_conninfo(char **value, void **extra, GucSource source)
{
	char bad_key[64];
	if (*value == nullptr || conninfo_has_only(*value, conninfo_keys, bad_key))
		return true;
	if (bad_key[0] == '\0')
		GUC_check_errdetail("The value is not a valid connection string.");
	else
		GUC_check_errdetail("The key \"%s\" is not allowed here: it is given for each node by the "
							"metadata, or belongs into pg_dist_authinfo.",
							bad_key);
	return false;
}

/* Sessions made under other parameters are not used again. */
void assign_node_conninfo(const char *value, void *extra)
{
	conninfo_generation++;
}

const config_enum_entry message_levels[] = {
	{"off", PANIC + 1, false},	 {"debug5", DEBUG5, false}, {"debug4", DEBUG4, false},
	{"debug3", DEBUG3, false},	 {"debug2", DEBUG2, false}, {"debug1", DEBUG1, false},
	{"debug", DEBUG2, true},	 {"log", LOG, false},		{"notice", NOTICE, false},
	{"warning", WARNING, false}, {"error", ERROR, false},	{nullptr, 0, false}};

constexpr int MAX_PARAMETERS = 48;

/* Keyword/value arrays for PQconnectStartParams. Values are palloc'ed. */
struct ConnectParameters
{
	const char *keys[MAX_PARAMETERS + 1];
	const char *values[MAX_PARAMETERS + 1];
	int count;

	void add(const char *key, const char *value)
	{
		for (int i = 0; i < count; i++)
		{
			if (strcmp(keys[i], key) == 0)
			{
				values[i] = value;
				return;
			}
		}
		if (count == MAX_PARAMETERS)
			return;
		keys[count] = key;
		values[count] = value;
		count++;
	}
};
CIVITAS_SERVER_STATE(ConnectParameters);

/* Adds the options of a conninfo text. Raises F0000 without showing the text. */
void add_conninfo(ConnectParameters *parameters, const char *text, Keys keys, const char *what)
{
	char bad_key[64];
	if (!conninfo_has_only(text, keys, bad_key))
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						bad_key[0] == '\0' ? errmsg("%s is not a valid connection string", what)
										   : errmsg("%s holds the key \"%s\", which is not allowed",
													what, bad_key)));

	PQconninfoOption *options = PQconninfoParse(text, nullptr);
	for (PQconninfoOption *option = options; option != nullptr && option->keyword != nullptr;
		 option++)
	{
		if (option->val != nullptr)
			parameters->add(pstrdup(option->keyword), pstrdup(option->val));
	}
	PQconninfoFree(options);
}

/* Whether `message` holds a secret value of the authinfo text. */
bool holds_secret(const char *message, const char *authinfo)
{
	if (authinfo == nullptr)
		return false;
	PQconninfoOption *options = PQconninfoParse(authinfo, nullptr);
	if (options == nullptr)
		return true;
	bool found = false;
	for (PQconninfoOption *option = options; option->keyword != nullptr; option++)
	{
		if (option->val != nullptr && option->val[0] != '\0' &&
			strstr(option->keyword, "password") != nullptr &&
			strstr(message, option->val) != nullptr)
			found = true;
	}
	PQconninfoFree(options);
	return found;
}

/* All that a connection to the endpoint is made of, but for its name. */
void add_endpoint(ConnectParameters *parameters, const Endpoint& endpoint)
{
	/* A node that vanished must be noticed within half a minute, also while we wait for a long
	 * query. */
	parameters->add("keepalives", "1");
	parameters->add("keepalives_idle", "15");
	parameters->add("keepalives_interval", "5");
	parameters->add("keepalives_count", "3");
	parameters->add("tcp_user_timeout", "30000");
	parameters->add("gssencmode", "disable");
	if (node_conninfo != nullptr)
		add_conninfo(parameters, node_conninfo, conninfo_keys, "citus.node_conninfo");
	if (endpoint.authinfo != nullptr)
		add_conninfo(parameters, endpoint.authinfo, AUTHINFO_KEYS, "the authinfo of the node");
	parameters->add("host", endpoint.host);
	parameters->add("port", psprintf("%d", endpoint.port));
	parameters->add("user", endpoint.user);
	parameters->add("dbname", endpoint.database);
}

} // namespace

int connection_timeout_ms()
{
	return node_connection_timeout;
}

void set_connection_timeout(int timeout_ms)
{
	SetConfigOption(CONNECTION_TIMEOUT, psprintf("%d", timeout_ms), PGC_USERSET, PGC_S_SESSION);
}

PGconn *start_libpq_connect(const Session *session)
{
	ConnectParameters parameters;
	parameters.count = 0;
	add_endpoint(&parameters, {session->node_id, session->host, session->port, session->user,
							   session->database, session->authinfo, session->replication});
	parameters.add("client_encoding", GetDatabaseEncodingName());
	if (session->replication)
		parameters.add("replication", "database");
	parameters.add("application_name",
				   psprintf("%s" INT64_FORMAT, INTERNAL_SESSION_PREFIX.data(),
							global_pid_hook != nullptr ? global_pid_hook() : int64{MyProcPid}));
	parameters.keys[parameters.count] = nullptr;
	parameters.values[parameters.count] = nullptr;

	PGconn *conn = PQconnectStartParams(parameters.keys, parameters.values, 0);
	if (conn == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	/* So that the text of a refused connect carries its SQLSTATE, which libpq has no call for. */
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	return conn;
}

const char *connect_sqlstate(const PGconn *conn, char (&buffer)[6])
{
	buffer[0] = '\0';
	/* "...: FATAL:  57P03: the database system is starting up"; the severity may be translated. */
	for (const char *at = PQerrorMessage(conn); (at = strstr(at, ":  ")) != nullptr; at += 3)
	{
		if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[8] == ':')
			strlcpy(buffer, at + 3, sizeof(buffer));
	}
	return buffer;
}

char *safe_connection_message(const Session *session)
{
	const char *raw = PQerrorMessage(session->conn);
	if (raw == nullptr || raw[0] == '\0')
		return pstrdup("the connection was closed");
	if (holds_secret(raw, session->authinfo))
		return pstrdup("the message is withheld because it holds a secret");

	/* One line per part; the LOCATION line of the verbose form says nothing to users. */
	char *message = pstrdup(raw);
	char *location = strstr(message, "\nLOCATION:");
	if (location != nullptr)
		*location = '\0';
	for (int length = strlen(message); length > 0 && message[length - 1] == '\n'; length--)
		message[length - 1] = '\0';
	return message;
}

void conninfo_init()
{
	DefineCustomStringVariable(
		"citus.node_conninfo",
		"Connection parameters for sessions between nodes, except for where "
		"to and as whom.",
		"Change it to require verified certificates (sslmode, sslrootcert) or "
		"to tune keepalives.",
		&node_conninfo, "sslmode=require", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_node_conninfo,
		assign_node_conninfo, nullptr);
	DefineCustomIntVariable(CONNECTION_TIMEOUT,
							"Time in which a connection to a node must be made.", nullptr,
							&node_connection_timeout, 30000, 10, 3600000, PGC_USERSET, GUC_UNIT_MS,
							nullptr, nullptr, nullptr);
	DefineCustomBoolVariable(
		"citus.log_remote_commands", "Shows each command that is sent to another node as a NOTICE.",
		nullptr, &log_remote_commands, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable("citus.worker_min_messages",
							 "Least severe messages of other nodes that are passed on.", nullptr,
							 &worker_min_messages, NOTICE, message_levels, PGC_USERSET, 0, nullptr,
							 nullptr, nullptr);
}

} // namespace civitas::remote
