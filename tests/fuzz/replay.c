/*
 * Runs a fuzz target without libFuzzer: every file of the folders named, each
 * as it is, cut short at up to 200 places, and changed at random with a fixed
 * seed (REPLAY_CHANGES for each file, 200 unless told). The target aborts
 * where its property does not hold.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1U << 20)
#define PLACES 200

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static unsigned long n_run;

/* xorshift64; good enough to choose octets, and the same everywhere. */
static uint64_t
next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A copy of exactly n octets, so that reading past them is seen. */
static void
run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n == 0 ? 1 : n);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	n_run++;
}

/* Changes one to four octets, or takes out or doubles a stretch. */
static size_t
change(uint8_t *p, size_t n, uint64_t *state)
{
	static const uint8_t likely[] = "\r\n\t ;:=,.<>@\0\"\\{}[]A1";
	size_t times = 1 + next(state) % 4;
	size_t at, len;

	while (times-- > 0 && n > 0) {
		at = (size_t)(next(state) % n);
		len = 1 + next(state) % 16;
		if (len > n - at)
			len = n - at;
		switch (next(state) % 4) {
		case 0:
			p[at] = (uint8_t)next(state);
			break;
		case 1:
			p[at] = likely[next(state) % sizeof(likely)];
			break;
		case 2:
			memmove(p + at, p + at + len, n - at - len);
			n -= len;
			break;
		default:
			memmove(p + at + len, p + at, n - at);
			n += len;
			break;
		}
	}
	return n;
}

static void
replay(const char *path, unsigned long changes)
{
	static uint8_t octets[INPUT_MAX], work[INPUT_MAX + 64];
	uint64_t state = 88172645463325252U;
	size_t n, cut;
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		exit(66);
	}
	n = fread(octets, 1, sizeof(octets), f);
	fclose(f);
	run(octets, n);
	for (cut = 0; cut < PLACES && n > 0; cut++)
		run(octets, n <= PLACES ? cut % n : n * cut / PLACES);
	for (unsigned long k = 0; k < changes; k++) {
		memcpy(work, octets, n);
		run(work, change(work, n, &state));
	}
}

int
main(int argc, char **argv)
{
	const char *said = getenv("REPLAY_CHANGES");
	unsigned long changes = said == NULL ? 200 : strtoul(said, NULL, 10);
	char path[4096];
	struct dirent *e;
	DIR *d;

	for (int k = 1; k < argc; k++) {
		d = opendir(argv[k]);
		if (d == NULL) {
			perror(argv[k]);
			return 66;
		}
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", argv[k],
			    e->d_name);
			replay(path, changes);
		}
		closedir(d);
	}
	printf("%lu inputs passed\n", n_run);
	return n_run == 0;
}
