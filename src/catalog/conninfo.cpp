/*
 * conninfo.cpp: what may be stored as connection info for a node.
 *
 * Whoever can write pg_dist_authinfo must not be able to send sessions elsewhere: only keys from a
 * list of credentials pass. Messages never repeat the text, for it holds passwords.
 */
#include "civitas/base/authinfo.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "libpq-fe.h"
#include "utils/builtins.h"
CIVITAS_PG_END

#include <span>
#include <string_view>

namespace {

constexpr std::string_view pool_keys[] = {"host", "hostaddr", "port", "dbname"};

/* Whether the text is conninfo with no keys but those allowed; *bad_key names one that is not. */
bool has_only_keys(const char *conninfo, std::span<const std::string_view> allowed, char *bad_key,
				   size_t size)
{
	char *message = nullptr;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	if (message != nullptr)
		PQfreemem(message);
	if (options == nullptr)
		return false;
	bool valid = true;
	for (PQconninfoOption *option = options; option->keyword != nullptr; option++)
	{
		if (option->val == nullptr || option->val[0] == '\0')
			continue;
		bool listed = false;
		for (const std::string_view key : allowed)
			listed = listed || key == option->keyword;
		if (!listed)
		{
			strlcpy(bad_key, option->keyword, size);
			valid = false;
		}
	}
	PQconninfoFree(options);
	return valid;
}

Datum check_conninfo(FunctionCallInfo fcinfo, std::span<const std::string_view> allowed,
					 const char *allowed_names)
{
	char bad_key[NAMEDATALEN] = "";
	if (has_only_keys(text_to_cstring(PG_GETARG_TEXT_PP(0)), allowed, bad_key, sizeof(bad_key)))
		PG_RETURN_BOOL(true);
	if (bad_key[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid connection info"),
						errhint("Write it as key=value pairs separated by spaces.")));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("connection option \"%s\" is not allowed here", bad_key),
					errhint("Allowed options: %s.", allowed_names)));
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(authinfo_valid);
PGDLLEXPORT Datum authinfo_valid(PG_FUNCTION_ARGS)
{
	return check_conninfo(fcinfo, civitas::AUTHINFO_KEYS,
						  "password, passfile, sslcert, sslkey, sslpassword");
}

PG_FUNCTION_INFO_V1(poolinfo_valid);
PGDLLEXPORT Datum poolinfo_valid(PG_FUNCTION_ARGS)
{
	return check_conninfo(fcinfo, pool_keys, "host, hostaddr, port, dbname");
}

CIVITAS_PG_END
