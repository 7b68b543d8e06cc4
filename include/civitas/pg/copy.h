/*
 * copy.h: COPY FROM's options that newer servers know: DEFAULT (16), ON_ERROR (17), REJECT_LIMIT and
 * LOG_VERBOSITY silent (18). The only version tests beside compat.h, apart from it because the
 * reader's state is a header of its own.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
CIVITAS_PG_END

namespace civitas::pg {

/* Whether an option gives lines a meaning that their fields as they stand do not have. */
inline bool lines_need_parsing([[maybe_unused]] const CopyFromState from)
{
#if PG_VERSION_NUM >= 170000
	return from->opts.default_print != nullptr || from->opts.on_error != COPY_ON_ERROR_STOP;
#elif PG_VERSION_NUM >= 160000
	return from->opts.default_print != nullptr;
#else
	return false;
#endif
}

/* Whether the row just read is one that could not be, and is to be passed over. */
inline bool row_was_bad([[maybe_unused]] CopyFromState from)
{
#if PG_VERSION_NUM >= 170000
	if (from->escontext == nullptr || !from->escontext->error_occurred)
		return false;
	from->escontext->error_occurred = false;
#if PG_VERSION_NUM >= 180000
	if (from->opts.reject_limit > 0 &&
		from->num_errors > static_cast<uint64>(from->opts.reject_limit))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("skipped more than REJECT_LIMIT (%lld) rows due to data type "
							   "incompatibility",
							   static_cast<long long>(from->opts.reject_limit))));
#endif
	return true;
#else
	return false;
#endif
}

/* At the end, says how many rows there were that could not be read. */
inline void tell_of_bad_rows([[maybe_unused]] const CopyFromState from)
{
#if PG_VERSION_NUM >= 170000
	if (from->escontext == nullptr || from->num_errors == 0)
		return;
#if PG_VERSION_NUM >= 180000
	if (from->opts.log_verbosity < COPY_LOG_VERBOSITY_DEFAULT)
		return;
#endif
	ereport(NOTICE, (errmsg_plural("%llu row was skipped due to data type incompatibility",
								   "%llu rows were skipped due to data type incompatibility",
								   static_cast<unsigned long>(from->num_errors),
								   static_cast<unsigned long long>(from->num_errors))));
#endif
}

} // namespace civitas::pg
