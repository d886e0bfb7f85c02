/* The hand in our own process. A vCPU wants to stay on one thread, so scripts run on a thread of the library's own. */
#include <pthread.h>
#include "hand.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool has_thread, has_work;
static const uint8_t *script, *record;
static size_t script_length, record_length;
static const char *complaint;

static void *work(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		while (!has_work)
			pthread_cond_wait(&changed, &lock);
		complaint = hand_run(script, script_length, &record, &record_length);
		has_work = false;
		pthread_cond_broadcast(&changed);
	}
	return unused;
}

/* As hand_run, from whatever thread: the record's length, and its place in `*at`; -1 with the complaint there. */
long hand_run_on_thread(const uint8_t *bytes, size_t length, const void **at)
{
	pthread_t thread;
	long result;

	pthread_mutex_lock(&lock);
	if (!has_thread && pthread_create(&thread, NULL, work, NULL) == 0)
		has_thread = true;
	script = bytes;
	script_length = length;
	has_work = true;
	pthread_cond_broadcast(&changed);
	while (has_work)
		pthread_cond_wait(&changed, &lock);
	result = complaint ? -1 : (long)record_length;
	*at = complaint ? (const void *)complaint : (const void *)record;
	pthread_mutex_unlock(&lock);
	return result;
}
