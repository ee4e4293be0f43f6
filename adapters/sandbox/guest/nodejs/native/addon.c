// What the zygote of Node.js needs from the C library: fork, libuv's part of a fork, and system calls.
//
// A worker closes the addon before it is ready. From then on only `exit` does something, whoever loads the addon again.
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENTS_MAX 7

extern int uv_loop_fork(struct uv_loop_s *);

static bool is_closed;

static napi_value number(napi_env env, long value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

// Returns a number, or the address of the bytes of a Buffer; 0 for anything else.
static long word(napi_env env, napi_value given) {
  bool is_buffer = false;
  int64_t value = 0;
  void *bytes = NULL;
  size_t size;
  if (napi_get_value_int64(env, given, &value) == napi_ok) return value;
  napi_is_buffer(env, given, &is_buffer);
  if (is_buffer) napi_get_buffer_info(env, given, &bytes, &size);
  return (long)bytes;
}

static void read_words(napi_env env, napi_callback_info info, long *words) {
  napi_value given[ARGUMENTS_MAX];
  size_t count = ARGUMENTS_MAX;
  napi_get_cb_info(env, info, &count, given, NULL, NULL);
  for (size_t at = 0; at < count && at < ARGUMENTS_MAX; at++) words[at] = word(env, given[at]);
}

static napi_value result_of(napi_env env, long result) { return number(env, result < 0 ? -errno : result); }

// call(number, ...words): the result of a system call, or its error number, negative.
static napi_value call(napi_env env, napi_callback_info info) {
  long words[ARGUMENTS_MAX] = {0};
  if (is_closed) return number(env, -EPERM);
  read_words(env, info, words);
  return result_of(env, syscall(words[0], words[1], words[2], words[3], words[4], words[5], words[6]));
}

static napi_value address(napi_env env, napi_callback_info info) {
  long words[ARGUMENTS_MAX] = {0};
  if (!is_closed) read_words(env, info, words);
  return number(env, words[0]);
}

static napi_value do_fork(napi_env env, napi_callback_info info) {
  return is_closed ? number(env, -EPERM) : result_of(env, fork());
}

static napi_value restart_loop(napi_env env, napi_callback_info info) {
  struct uv_loop_s *loop;
  if (is_closed || napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -EPERM);
  return number(env, uv_loop_fork(loop));
}

static napi_value do_close(napi_env env, napi_callback_info info) {
  is_closed = true;
  return NULL;
}

static napi_value do_exit(napi_env env, napi_callback_info info) {
  long words[ARGUMENTS_MAX] = {0};
  read_words(env, info, words);
  _exit((int)words[0]);
}

NAPI_MODULE_INIT() {
  const struct { const char *name; napi_callback function; } all[] = {
    {"call", call}, {"address", address}, {"fork", do_fork}, {"restartLoop", restart_loop}, {"close", do_close},
    {"exit", do_exit}};
  for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
    napi_value function;
    napi_create_function(env, all[at].name, NAPI_AUTO_LENGTH, all[at].function, NULL, &function);
    napi_set_named_property(env, exports, all[at].name, function);
  }
  return exports;
}
