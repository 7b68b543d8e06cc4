/*
 * node_token.h: what a session between nodes shows to prove that a node of the cluster opened it.
 *
 * A token holds the claim and its HMAC-SHA-256 under the cluster's secret:
 *
 *     offset  bytes
 *          0      1  version
 *          1      1  1 if the session carries a user's own text, else 0
 *          2      8  global pid of the backend that the session works for
 *         10      8  when it was made, by the clock of the node that made it
 *         18     16  nonce
 *         34     32  HMAC of all of the above, the role and the database
 *
 * Numbers are in network byte order. Who knows a token but not the secret can make no other one.
 */
#pragma once

#include "civitas/base/secret.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "datatype/timestamp.h"
CIVITAS_PG_END

#include <span>

namespace civitas::remote {

inline constexpr int NODE_TOKEN_SIZE = 66;

/* What a token says. */
struct NodeClaim
{
	int64 global_pid;
	bool user_text;
	TimestampTz made_at;
	uint64 nonce; /* a part of it, random enough to tell two tokens apart */
};
CIVITAS_SERVER_STATE(NodeClaim);

/* Makes a token for a session as that role in that database. XX000 where there is no randomness. */
void make_node_token(const Secret& secret, const char *role, const char *database, int64 global_pid,
					 bool user_text, uint8 (&token)[NODE_TOKEN_SIZE]);
/* False: no token at all. */
bool read_node_token(std::span<const uint8> token, NodeClaim *claim);
/* Whether the token was made with the secret, for that role and database. */
bool node_token_matches(const Secret& secret, std::span<const uint8> token, const char *role,
						const char *database);

/*
 * In a session that has proven itself, the node that opened it says in whose name the next statements
 * run, with an HMAC that holds for this session alone and for one switch: under a key that is made
 * from the secret and the token's nonce, over the number of the switch and the role.
 */
void make_session_key(const Secret& secret, std::span<const uint8> token, Secret *key);
inline constexpr int ROLE_PROOF_SIZE = 32;
void make_role_proof(const Secret& key, int64 number, const char *role,
					 uint8 (&proof)[ROLE_PROOF_SIZE]);
bool role_proof_matches(const Secret& key, int64 number, const char *role,
						std::span<const uint8> proof);

/* A secret made unreadable for all but who knows `key`; bytes to be read by unwrap_secret(). */
inline constexpr int WRAPPED_SIZE = 16 + SECRET_SIZE + SECRET_SIZE;
void wrap_secret(const Secret& key, const Secret& secret, uint8 (&wrapped)[WRAPPED_SIZE]);
/* False: it was wrapped with another key. */
bool unwrap_secret(const Secret& key, std::span<const uint8> wrapped, Secret *secret);

/* Random bytes; XX000 where there are none to be had. */
void fill_randomly(void *bytes, size_t count);

} // namespace civitas::remote
