/*
 * authinfo.h: what a row of pg_dist_authinfo may hold.
 */
#pragma once

#include <string_view>

namespace civitas {

/* libpq's keys that say who we are, not where to: what is stored is checked against them, and what is
 * used as well. */
inline constexpr std::string_view AUTHINFO_KEYS[] = {"password", "passfile", "sslcert", "sslkey",
													 "sslpassword"};

} // namespace civitas
