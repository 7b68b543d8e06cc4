/*
 * utility.h: the utility hook. One table row per statement kind says what happens to it.
 */
#pragma once

namespace civitas::ddl {

void utility_init();

} // namespace civitas::ddl
