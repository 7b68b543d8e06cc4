/*
 * node_token.cpp: see civitas/remote/node_token.h.
 */
#include "civitas/pg/server.h"

#include "civitas/remote/node_token.h"

CIVITAS_PG_BEGIN
#include "common/hmac.h"
#include "common/sha2.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::remote {

namespace {

constexpr uint8 VERSION = 1;
constexpr int PID_AT = 2;
constexpr int TIME_AT = 10;
constexpr int NONCE_AT = 18;
constexpr int MAC_AT = 34;
constexpr int NONCE_SIZE = 16;
static_assert(MAC_AT + PG_SHA256_DIGEST_LENGTH == NODE_TOKEN_SIZE);
static_assert(SECRET_SIZE == PG_SHA256_DIGEST_LENGTH);

using Mac = uint8[PG_SHA256_DIGEST_LENGTH];

struct Part
{
	const void *bytes;
	size_t size;
};

void compute(const Secret& key, std::span<const Part> parts, Mac& mac)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
	bool good = context != nullptr && pg_hmac_init(context, key.bytes, sizeof(key.bytes)) >= 0;
	for (const Part& part : parts)
		good =
			good && pg_hmac_update(context, static_cast<const uint8 *>(part.bytes), part.size) >= 0;
	good = good && pg_hmac_final(context, mac, sizeof(mac)) >= 0;
	if (context != nullptr)
		pg_hmac_free(context);
	if (!good)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute an HMAC")));
}

/* In a time that does not tell where they differ. */
bool same(const uint8 *left, const uint8 *right, size_t size)
{
	uint8 difference = 0;
	for (size_t i = 0; i < size; i++)
		difference |= left[i] ^ right[i];
	return difference == 0;
}

/* Names end with a zero byte, so that none runs into the next. */
void token_mac(const Secret& secret, const uint8 *token, const char *role, const char *database,
			   Mac& mac)
{
	const Part parts[] = {{"civitas node", sizeof("civitas node")},
						  {token, MAC_AT},
						  {role, strlen(role) + 1},
						  {database, strlen(database) + 1}};
	compute(secret, parts, mac);
}

void wrap_mac(const Secret& key, const char *purpose, const uint8 *bytes, size_t size, Mac& mac)
{
	const Part parts[] = {{purpose, strlen(purpose) + 1}, {bytes, size}};
	compute(key, parts, mac);
}

void put(uint8 *at, uint64 number)
{
	const uint64 ordered = pg_hton64(number);
	memcpy(at, &ordered, sizeof(ordered));
}

uint64 get(const uint8 *at)
{
	uint64 ordered;
	memcpy(&ordered, at, sizeof(ordered));
	return pg_ntoh64(ordered);
}

} // namespace

void fill_randomly(void *bytes, size_t count)
{
	if (!pg_strong_random(bytes, count))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bytes")));
}

void make_node_token(const Secret& secret, const char *role, const char *database, int64 global_pid,
					 bool user_text, uint8 (&token)[NODE_TOKEN_SIZE])
{
	token[0] = VERSION;
	token[1] = user_text ? 1 : 0;
	put(token + PID_AT, static_cast<uint64>(global_pid));
	put(token + TIME_AT, static_cast<uint64>(GetCurrentTimestamp()));
	fill_randomly(token + NONCE_AT, NONCE_SIZE);
	Mac mac;
	token_mac(secret, token, role, database, mac);
	memcpy(token + MAC_AT, mac, sizeof(mac));
}

bool read_node_token(std::span<const uint8> token, NodeClaim *claim)
{
	if (token.size() != NODE_TOKEN_SIZE || token[0] != VERSION || token[1] > 1)
		return false;
	claim->user_text = token[1] == 1;
	claim->global_pid = static_cast<int64>(get(token.data() + PID_AT));
	claim->made_at = static_cast<TimestampTz>(get(token.data() + TIME_AT));
	claim->nonce = get(token.data() + NONCE_AT);
	return true;
}

bool node_token_matches(const Secret& secret, std::span<const uint8> token, const char *role,
						const char *database)
{
	Mac mac;
	token_mac(secret, token.data(), role, database, mac);
	return same(mac, token.data() + MAC_AT, sizeof(mac));
}

void make_session_key(const Secret& secret, std::span<const uint8> token, Secret *key)
{
	Mac mac;
	wrap_mac(secret, "civitas session", token.data() + NONCE_AT, NONCE_SIZE, mac);
	memcpy(key->bytes, mac, sizeof(mac));
}

void make_role_proof(const Secret& key, int64 number, const char *role,
					 uint8 (&proof)[ROLE_PROOF_SIZE])
{
	uint8 ordered[sizeof(uint64)];
	put(ordered, static_cast<uint64>(number));
	const Part parts[] = {{"civitas role", sizeof("civitas role")},
						  {ordered, sizeof(ordered)},
						  {role, strlen(role) + 1}};
	compute(key, parts, proof);
}

bool role_proof_matches(const Secret& key, int64 number, const char *role,
						std::span<const uint8> proof)
{
	uint8 expected[ROLE_PROOF_SIZE];
	make_role_proof(key, number, role, expected);
	return proof.size() == ROLE_PROOF_SIZE && same(expected, proof.data(), ROLE_PROOF_SIZE);
}

/* nonce, secret xor HMAC(key, "pad", nonce), HMAC(key, "check", all before) */
void wrap_secret(const Secret& key, const Secret& secret, uint8 (&wrapped)[WRAPPED_SIZE])
{
	fill_randomly(wrapped, NONCE_SIZE);
	Mac mac;
	wrap_mac(key, "civitas pad", wrapped, NONCE_SIZE, mac);
	for (int i = 0; i < SECRET_SIZE; i++)
		wrapped[NONCE_SIZE + i] = secret.bytes[i] ^ mac[i];
	wrap_mac(key, "civitas check", wrapped, NONCE_SIZE + SECRET_SIZE, mac);
	memcpy(wrapped + NONCE_SIZE + SECRET_SIZE, mac, sizeof(mac));
}

bool unwrap_secret(const Secret& key, std::span<const uint8> wrapped, Secret *secret)
{
	if (wrapped.size() != WRAPPED_SIZE)
		return false;
	Mac mac;
	wrap_mac(key, "civitas check", wrapped.data(), NONCE_SIZE + SECRET_SIZE, mac);
	if (!same(mac, wrapped.data() + NONCE_SIZE + SECRET_SIZE, sizeof(mac)))
		return false;
	wrap_mac(key, "civitas pad", wrapped.data(), NONCE_SIZE, mac);
	for (int i = 0; i < SECRET_SIZE; i++)
		secret->bytes[i] = wrapped[NONCE_SIZE + i] ^ mac[i];
	return true;
}

} // namespace civitas::remote
