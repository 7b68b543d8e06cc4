/*
 * node_proof.cpp: how a session proves that a node of the cluster opened it, and how nodes come by
 * the secret that this takes.
 *
 *     the node that opens a session            the node that it leads to
 *     first flush: prove_node(token) ────────▶ the token is of one of its valid secrets, for this
 * role and database, not older or newer than clocks may differ, and was not used before: a node
 * session from now on ◀──────────────────────── else the session ends (28000)
 *
 * A session that has proven itself may say, statement by statement, in whose name the next ones run
 * (act_as()): roles take turns in a transaction, and must see what each other wrote. The role is
 * changed as a SECURITY DEFINER function changes it, so that its code cannot go back to the one that
 * the session was opened as.
 *
 * A secret is handed over in two steps, so that no crash in between leaves nodes that do not
 * understand each other: first every node accepts it beside the old one, committed at once; then,
 * in one transaction, all use it. It travels wrapped with the secret that the node has: so neither
 * log nor pg_stat_activity shows it, whatever is logged there.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/catalog/cluster_secret.h"
#include "civitas/catalog/node_session.h"
#include "civitas/pg/debug_point.h"
#include "civitas/remote/node_token.h"

/* Port keeps its layout without it; with it the header wants Kerberos's own headers. */
#undef ENABLE_GSS

CIVITAS_PG_BEGIN
#include "commands/dbcommands.h"
#include "libpq/libpq-be.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

/* Tolerated in the first minutes after a start, when tokens that were used before it are forgotten.
 */
constexpr int RESTART_TOLERANCE_MS = 30000;

/* Of this process's session. */
Secret session_key;
int64 last_switch;
bool acting;

std::span<const uint8> bytes_of(const bytea *value)
{
	return {reinterpret_cast<const uint8 *>(VARDATA_ANY(value)),
			static_cast<size_t>(VARSIZE_ANY_EXHDR(value))};
}

[[noreturn]] void end_session(const char *detail, const char *hint)
{
	ereport(FATAL, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
					errmsg("the session does not prove that a node of this cluster opened it"),
					errdetail_internal("%s", detail), errhint("%s", hint)));
	pg_unreachable();
}

void check_time(TimestampTz made_at)
{
	const TimestampTz now = GetCurrentTimestamp();
	const int64 apart_ms = (now > made_at ? now - made_at : made_at - now) / 1000;
	if (apart_ms > catalog::TOKEN_WINDOW_MS)
		end_session(
			psprintf("The clocks of the two nodes are " INT64_FORMAT " s apart.", apart_ms / 1000),
			"Set the clocks of both nodes right.");
	if (made_at <
		TimestampTzPlusMilliseconds(catalog::remembers_tokens_since(), -RESTART_TOLERANCE_MS))
		end_session("Its token was made before this server started.",
					"Try again, and see that the clocks of both nodes agree.");
}

struct Expected
{
	std::span<const uint8> token;
	const char *database;
	Secret *key; /* of the session, where the token is right */
};

bool made_with(const Secret& secret, void *argument)
{
	const auto *expected = static_cast<const Expected *>(argument);
	if (!remote::node_token_matches(secret, expected->token, MyProcPort->user_name,
									expected->database))
		return false;
	remote::make_session_key(secret, expected->token, expected->key);
	return true;
}

struct Wrapping
{
	std::span<const uint8> wrapped;
	Secret secret;
};

bool unwraps(const Secret& key, void *argument)
{
	auto *wrapping = static_cast<Wrapping *>(argument);
	return remote::unwrap_secret(key, wrapping->wrapped, &wrapping->secret);
}

} // namespace

void stop_acting()
{
	if (!acting)
		return;
	acting = false;
	SetUserIdAndSecContext(GetSessionUserId(), 0);
}

CIVITAS_PG_BEGIN

/* prove_node(token): the first statement of a session that another node opens. */
PG_FUNCTION_INFO_V1(citus_internal_prove_node);
PGDLLEXPORT Datum citus_internal_prove_node(PG_FUNCTION_ARGS)
{
	if (!catalog::is_top_statement(fcinfo) || MyProcPort == nullptr)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("this function is for the nodes of the cluster to call")));
	CIVITAS_DEBUG_POINT("proving");
	Secret key;
	Expected expected = {bytes_of(PG_GETARG_BYTEA_PP(0)), get_database_name(MyDatabaseId), &key};
	remote::NodeClaim claim;
	if (!remote::read_node_token(expected.token, &claim) ||
		!catalog::any_valid_secret(made_with, &expected))
		end_session(
			"Its token was not made with a secret of this cluster for this role and database.",
			"A node gets the secret when citus_activate_node() or citus_add_node() adds it to the "
			"cluster.");
	check_time(claim.made_at);
	if (!catalog::use_nonce(claim.nonce, claim.made_at))
		end_session("Its token has been used before.", "Try again.");
	/* ALTER ROLE .. SET role would have the node work as somebody else. */
	if (GetUserId() != GetSessionUserId())
		SetConfigOption("role", "none", PGC_USERSET, PGC_S_SESSION);
	catalog::become_node_session(claim.global_pid, claim.user_text);
	session_key = key;
	last_switch = 0;
	PG_RETURN_VOID();
}

/* act_as(role, number of the switch, proof): statements of this transaction run in the name of the
 * role from here on. */
PG_FUNCTION_INFO_V1(citus_internal_act_as);
PGDLLEXPORT Datum citus_internal_act_as(PG_FUNCTION_ARGS)
{
	const char *role = NameStr(*PG_GETARG_NAME(0));
	const int64 number = PG_GETARG_INT64(1);
	if (!catalog::is_node_session() || !catalog::is_top_statement(fcinfo) ||
		number <= last_switch ||
		!remote::role_proof_matches(session_key, number, role, bytes_of(PG_GETARG_BYTEA_PP(2))))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("this function is for the nodes of the cluster to call")));
	last_switch = number;
	if (!IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
						errmsg("roles take turns in transaction blocks only")));
	const Oid wanted = get_role_oid(role, false);
	const bool own = wanted == GetSessionUserId();
	SetUserIdAndSecContext(wanted, own ? 0 : SECURITY_LOCAL_USERID_CHANGE);
	acting = !own;
	PG_RETURN_VOID();
}

/* unwrap_secret(wrapped) → the secret that was wrapped with one of this node's. */
PG_FUNCTION_INFO_V1(citus_internal_unwrap_secret);
PGDLLEXPORT Datum citus_internal_unwrap_secret(PG_FUNCTION_ARGS)
{
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only superusers may see the secret of the cluster")));
	Wrapping wrapping = {bytes_of(PG_GETARG_BYTEA_PP(0)), {}};
	if (!catalog::any_valid_secret(unwraps, &wrapping))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the secret was not wrapped with one of this node's")));
	bytea *secret = static_cast<bytea *>(palloc(VARHDRSZ + SECRET_SIZE));
	SET_VARSIZE(secret, VARHDRSZ + SECRET_SIZE);
	memcpy(VARDATA(secret), wrapping.secret.bytes, SECRET_SIZE);
	PG_RETURN_BYTEA_P(secret);
}

/* wrap_secret(key, secret) → bytes that say nothing without the key. */
PG_FUNCTION_INFO_V1(citus_internal_wrap_secret);
PGDLLEXPORT Datum citus_internal_wrap_secret(PG_FUNCTION_ARGS)
{
	const std::span<const uint8> key_bytes = bytes_of(PG_GETARG_BYTEA_PP(0));
	const std::span<const uint8> secret_bytes = bytes_of(PG_GETARG_BYTEA_PP(1));
	if (key_bytes.size() != SECRET_SIZE || secret_bytes.size() != SECRET_SIZE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a secret must have %d bytes", SECRET_SIZE)));
	Secret key;
	Secret secret;
	memcpy(key.bytes, key_bytes.data(), SECRET_SIZE);
	memcpy(secret.bytes, secret_bytes.data(), SECRET_SIZE);
	uint8 wrapped[remote::WRAPPED_SIZE];
	remote::wrap_secret(key, secret, wrapped);
	bytea *result = static_cast<bytea *>(palloc(VARHDRSZ + sizeof(wrapped)));
	SET_VARSIZE(result, VARHDRSZ + sizeof(wrapped));
	memcpy(VARDATA(result), wrapped, sizeof(wrapped));
	PG_RETURN_BYTEA_P(result);
}

CIVITAS_PG_END

} // namespace civitas::txn
