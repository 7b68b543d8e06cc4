/*
 * recorded_commands.h: commands for other nodes that are put on a list.
 */
#pragma once

#include "civitas/txn/transaction.h"

namespace civitas::txn {

bool is_recording();
/* True: they are on the list. */
bool record(std::span<const NodeCommand> commands);
/* Before a session is opened for answers or rows. */
void refuse_while_recording();

} // namespace civitas::txn
