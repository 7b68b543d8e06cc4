/*
 * core_call.h: the one way from the server zone into the core.
 *
 * The core is ordinary C++ and may throw; the server zone is longjmp country. call_core() runs a
 * core function, catches whatever comes out of it and, once the catch scope is closed, raises it as
 * a PostgreSQL error: bad_alloc is 53200 (out_of_memory), anything else XX000 (internal_error).
 *
 * `body` is a callable that only calls core functions with plain data in and out:
 *
 *     pg::call_core([&] { route::decide(facts, &decision); });
 */
#pragma once

namespace civitas::pg {

/* Runs body(argument); see above. */
void call_core_function(void (*body)(void *), void *argument);

template <typename Body> void call_core(Body&& body)
{
	call_core_function([](void *argument) { (*static_cast<Body *>(argument))(); }, &body);
}

} // namespace civitas::pg
