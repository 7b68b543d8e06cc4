/*
 * incoming.cpp: sessions that other nodes open here.
 *
 * They must notice when the other node is gone, also while they work for it. That is set here, when
 * they begin, and not asked for by who connects: a pooler in between takes no such request. There
 * is no user time-out: the other node may leave rows unread for long (a cursor), and it would take
 * that for a loss.
 *
 * What the configuration, the role or the database would have a client's session do does not hold either:
 * the asking node says what a transaction is, and measures its times.
 *
 * One system call less for each statement: OpenSSL reads a TLS record in two steps, its header and
 * its body. In these sessions it may read ahead instead: the server asks OpenSSL before it waits
 * for the socket, so what was read ahead is never overlooked. In the sessions that this node opens
 * it must not: there the socket is asked first.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/compat.h"

/* Port keeps its layout without it; with it the header wants Kerberos's own headers. */
#undef ENABLE_GSS

CIVITAS_PG_BEGIN
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "storage/latch.h"
#include "utils/guc.h"
CIVITAS_PG_END

#ifdef USE_OPENSSL
#include <openssl/ssl.h>
#endif

namespace civitas::remote {

namespace {

ClientAuthentication_hook_type previous_authentication;

void set(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_USERSET, PGC_S_CLIENT);
}

void authenticated(Port *port, int status)
{
	if (previous_authentication != nullptr)
		previous_authentication(port, status);
	if (status != STATUS_OK || !names_internal_session(port->application_name))
		return;
	if (WaitEventSetCanReportClosed())
		set("client_connection_check_interval", "500");
	set("tcp_keepalives_idle", "15");
	set("tcp_keepalives_interval", "5");
	set("tcp_keepalives_count", "3");
	for (const char *timeout : {"statement_timeout", "idle_in_transaction_session_timeout",
								"idle_session_timeout", "transaction_timeout"})
		if (pg::find_setting(timeout) != nullptr)
			set(timeout, "0");
	set("default_transaction_isolation", "read committed");
	set("default_transaction_read_only", "off");
	set("default_transaction_deferrable", "off");
#ifdef USE_OPENSSL
	if (port->ssl_in_use)
		SSL_set_read_ahead(port->ssl, 1);
#endif
}

} // namespace

void incoming_init()
{
	previous_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = authenticated;
}

} // namespace civitas::remote
