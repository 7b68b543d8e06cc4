/*
 * node_session.h: is this session one that another node of the cluster opened?
 *
 * Only a session that has shown a token made with the cluster's secret is (txn/node_proof.cpp).
 * What is remembered of it lives in the process and in shared memory: no setting, no DISCARD and no
 * function of the session's role gets there. All other sessions are clients.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::catalog {

/* Cheap. In a parallel worker: whether its leader's session is one. */
bool is_node_session();
/* The global pid of the backend that a node session works for; 0 in a client's session. */
int64 node_session_global_pid();

/*
 * For functions that nodes call on each other: 42501 unless the call is what the other node sent,
 * as the whole statement (SELECT function(values)), or the current user is a superuser. Code of the
 * session's role, which may run in a node session too, cannot call them.
 */
void require_node_call(FunctionCallInfo call);
/* The next call of such a function in this backend is one that the coordinator sent for this very
 * statement (ddl/from_worker.cpp); false takes it back. */
void expect_node_call(bool expected);
/* Whether a function call is the top statement of this session: SELECT function(values). */
bool is_top_statement(FunctionCallInfo call);

/* What a token has proven. `user_text`: the session runs what a user wrote, so nothing in it is a
 * call by a node. */
void become_node_session(int64 global_pid, bool user_text);
/* Remembers that a token was used; false: it was used before, or is too old for that to be known.
 */
bool use_nonce(uint64 nonce, int64 made_at);
/* How far the clocks of two nodes may be apart. */
inline constexpr int TOKEN_WINDOW_MS = 300000;
/* Since when this server remembers tokens. */
int64 remembers_tokens_since();

void node_session_init();

} // namespace civitas::catalog
