/*
 * absent_settings.h: settings of the public API that this version does not have.
 */
#pragma once

namespace civitas::ddl {

/* Defines them, to be refused, and reserves the prefix "citus": after all others are defined. */
void absent_settings_init();

} // namespace civitas::ddl
