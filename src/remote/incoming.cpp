/*
 * read_ahead.cpp: one system call less for each statement that another node sends.
 *
 * OpenSSL reads a TLS record in two steps, its header and its body. In sessions that other nodes
 * open it may read ahead instead: the server asks OpenSSL before it waits for the socket, so what
 * was read ahead is never overlooked. In the sessions that this node opens it must not: there the
 * socket is asked first.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

/* Port keeps its layout without it; with it the header wants Kerberos's own headers. */
#undef ENABLE_GSS

CIVITAS_PG_BEGIN
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
CIVITAS_PG_END

#ifdef USE_OPENSSL
#include <openssl/ssl.h>
#endif

namespace civitas::remote {

#ifdef USE_OPENSSL

namespace {

constexpr const char INTERNAL_SESSION_PREFIX[] = "citus_internal gpid=";

ClientAuthentication_hook_type previous_authentication;

void authenticated(Port *port, int status)
{
	if (previous_authentication != nullptr)
		previous_authentication(port, status);
	if (status == STATUS_OK && port->ssl_in_use && port->application_name != nullptr &&
		strncmp(port->application_name, INTERNAL_SESSION_PREFIX,
				sizeof(INTERNAL_SESSION_PREFIX) - 1) == 0)
		SSL_set_read_ahead(port->ssl, 1);
}

} // namespace

void read_ahead_init()
{
	previous_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = authenticated;
}

#else

void read_ahead_init() {}

#endif

} // namespace civitas::remote
