/*
 * proof.cpp: what a session shows to the node that it leads to, see node_token.h.
 *
 * The cluster's secret stays with the session until its first flush, as the authinfo does until it is
 * connected. Afterwards there is a key that is good for this session alone.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "utils/builtins.h"
CIVITAS_PG_END

namespace civitas::remote {

namespace {

void forget(Secret **secret)
{
	if (*secret == nullptr)
		return;
	explicit_bzero(*secret, sizeof(Secret));
	pfree(*secret);
	*secret = nullptr;
}

} // namespace

void make_proof(Session *session, uint8 (&token)[NODE_TOKEN_SIZE])
{
	make_node_token(*session->secret, session->user, session->database,
					global_pid_hook != nullptr ? global_pid_hook() : int64{MyProcPid},
					session->user_text, token);
	if (session->key == nullptr)
		session->key = static_cast<Secret *>(MemoryContextAlloc(session->context, sizeof(Secret)));
	make_session_key(*session->secret, token, session->key);
	forget(&session->secret);
}

void forget_secrets(Session *session)
{
	forget(&session->secret);
	forget(&session->key);
}

bool proves_itself(const Session *session)
{
	return session->key != nullptr || session->secret != nullptr;
}

char *role_statement(Session *session, const char *role)
{
	if (session->key == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the session on node %s:%d cannot run statements of role \"%s\"",
							   session->host, session->port, role),
						errdetail("It was opened as role \"%s\".", session->user)));
	const int64 number = ++session->role_switches;
	uint8 proof[ROLE_PROOF_SIZE];
	make_role_proof(*session->key, number, role, proof);
	char hex[2 * ROLE_PROOF_SIZE + 1];
	hex[hex_encode(reinterpret_cast<const char *>(proof), sizeof(proof), hex)] = '\0';
	pg::Str sql;
	sql.raw("SELECT citus_internal.act_as(").literal(role).raw(", ").num(number).raw(", E'\\\\x");
	return sql.raw(hex).raw("'::pg_catalog.bytea)").c_str();
}

} // namespace civitas::remote
