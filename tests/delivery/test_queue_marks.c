/* What becomes of a recipient can not be written: it is known all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <sodium.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/delivery/kit.h"

static const struct queue_site_mail two = {.id = "m1", .is_shared = true,
    .to = {"<bob@two.example>", "<carol@two.example>"}};

static void
begin_with(const char *rcpt)
{
	queue_site_write_error = 0;
	begin("", TO_HOP);
	queue_hop[0].refused_rcpt = "<carol@two.example>";
	queue_hop[0].rcpt = rcpt;
}

/* No room, or a disk that fails: nobody gets it twice while we live. */
static void
delivered_is_delivered_though_not_written(void **state)
{
	static const int errors[] = {EIO, ENOSPC};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		begin_with("450 4.2.0 busy");
		queue_site_write_error = errors[k];
		put(&two);
		queue_site_work();
		assert_int_equal(queue_hop[0].n_taken, 1);
		assert_int_equal(queue_site_status("m1", 0, 0), 'q');
		queue_site_pass(D);
		assert_true(queue_hop[0].n_mails > 10);
		assert_int_equal(queue_hop[0].n_taken, 1);
		assert_true(queue_site_logged("can not be written now") > 1);
		/* written where it can be, and the rest delivered */
		queue_site_write_error = 0;
		queue_site_pass(2 * H);
		assert_int_equal(queue_site_status("m1", 0, 0), 'd');
		assert_true(queue_site_rcpt("m1", 0, 1)->tries > 10);
		queue_hop[0].rcpt = NULL;
		queue_site_pass(2 * H);
		assert_int_equal(queue_hop[0].n_taken, 2);
		assert_string_equal(queue_hop[0].last_path,
		    "<carol@two.example>");
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		queue_site_end();
	}
}

/* Others are still waited for: a process after us is to know it, too. */
static void
what_was_not_written_is_written_soon(void **state)
{
	(void)state;
	queue_site_write_error = 0;
	begin("queue-retry: 1h\n", TO_HOP);
	queue_hop[0].refused_rcpt = "<carol@two.example>";
	queue_hop[0].rcpt = "450 4.2.0 busy";
	queue_site_write_error = ENOSPC;
	put(&two);
	queue_site_work();
	queue_site_write_error = 0;
	queue_site_pass(10 * M);
	assert_int_equal(queue_hop[0].n_mails, 1);	/* no try of it */
	assert_int_equal(queue_site_status("m1", 0, 0), 'd');
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	queue_site_end();
}

/* ... or before we leave, at the latest. */
static void
who_leaves_writes_it(void **state)
{
	(void)state;
	begin_with("450 4.2.0 busy");
	queue_site_write_error = ENOSPC;
	put(&two);
	queue_site_work();
	queue_site_write_error = 0;
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	queue_run_leave(queue_site_run);
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 0), 'd');
	queue_site_restart();
	queue_run_start(queue_site_run);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 1);
	queue_site_end();
}

/* The file system was made read-only behind the 250: the file says nothing of
 * that, and stays. */
static int unlink_error;

int unlinkat(int fd, const char *name, int flags);

int
unlinkat(int fd, const char *name, int flags)
{
	errno = unlink_error;
	return unlink_error != 0 ? -1 : (int)syscall(SYS_unlinkat, fd, name,
	    flags);
}

static void
what_can_not_be_removed_is_not_sent_again(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		queue_site_write_error = 0;
		begin("", TO_HOP);
		put(&plain);
		queue_site_write_error = unlink_error = EROFS;
		queue_site_work();
		queue_site_pass(20 * M);
		assert_int_equal(queue_hop[0].n_taken, 1);
		assert_int_equal(queue_site_status("m1", 0, 0), 'q');
		queue_site_write_error = unlink_error = 0;
		if (k == 1) {
			assert_true(queue_site_says("retry m1", "ok"));
			queue_site_work();
		}
		queue_site_pass(10 * M);
		assert_int_equal(queue_site_status("m1", 0, 0), '-');
		assert_int_equal(queue_hop[0].n_taken, 1);
		queue_site_end();
	}
}

/* There is nothing left to try: it is written later. */
static void
all_settled_and_not_written(void **state)
{
	(void)state;
	begin_with("550 5.1.1 nobody");
	queue_site_write_error = EIO;
	put(&two);
	queue_site_pass(H);
	assert_int_equal(queue_hop[0].n_mails, 1);
	assert_int_equal(queue_site_status("m1", 0, 0), 'q');
	/* whoever asks is told what is true */
	assert_true(queue_site_says("retry m1",
	    "error Input/output error"));
	queue_site_pass(H);
	assert_int_equal(queue_hop[0].n_mails, 1);
	queue_site_write_error = 0;
	queue_site_pass(10 * M);
	assert_int_equal(queue_site_status("m1", 0, 0), 'd');
	assert_int_equal(queue_site_status("m1", 0, 1), 'f');
	/* and is a message like others */
	queue_hop[0].rcpt = NULL;
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 2);
	assert_string_equal(queue_hop[0].last_path, "<carol@two.example>");
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

/* A request finds what is known, not what was written. */
static void
a_request_knows_it_too(void **state)
{
	(void)state;
	begin_with("550 5.1.1 nobody");
	queue_site_write_error = EIO;
	put(&two);
	queue_site_work();
	queue_site_write_error = 0;
	queue_hop[0].rcpt = NULL;
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_work();
	assert_int_equal(queue_hop[0].n_taken, 2);
	assert_string_equal(queue_hop[0].last_path, "<carol@two.example>");
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
	/* nor is anything left of what is removed */
	begin_with("550 5.1.1 nobody");
	queue_site_write_error = EIO;
	put(&two);
	queue_site_work();
	assert_true(queue_site_says("remove m1", "ok"));
	assert_true(queue_site_says("retry m1", "absent"));
	queue_site_pass(H);
	assert_int_equal(queue_site_logged("can not be read"), 0);
	queue_site_end();
}

/* It goes without the mark that it may be there: what makes room must not
 * wait for room. */
static void
unsure_and_not_written(void **state)
{
	(void)state;
	queue_site_write_error = 0;
	begin("", TO_HOP);
	queue_site_write_error = ENOSPC;
	queue_hop[0].dot = "hangup";
	put(&plain);
	queue_site_work();
	assert_int_equal(queue_hop[0].n_mails, 1);
	queue_hop[0].dot = "554 5.6.0 Duplicate message";
	queue_site_pass(2 * H);
	assert_int_equal(queue_site_logged("an earlier try delivered it"), 1);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
	queue_site_write_error = 0;
}

static void
a_hold_that_can_not_be_written_is_none(void **state)
{
	(void)state;
	queue_site_write_error = 0;
	begin("", TO_HOP);
	queue_hop[0].dot = "silence";
	put(&plain);
	queue_site_work();
	queue_site_write_error = EIO;
	assert_true(queue_site_says("hold m1", "error Input/output error"));
	queue_site_write_error = 0;
	assert_true(queue_site_says("retry m1", "ok"));
	queue_site_answer(0, "450 4.2.0 busy");
	queue_site_work();
	queue_hop[0].dot = NULL;
	queue_site_pass(2 * H);
	assert_int_equal(queue_site_status("m1", 0, 0), '-');
	queue_site_end();
}

static void
each_try_is_counted(void **state)
{
	(void)state;
	begin_with("550 5.1.1 nobody");
	put(&two);
	queue_site_work();
	assert_int_equal(queue_site_status("m1", 0, 1), 'f');
	assert_int_equal(queue_site_rcpt("m1", 0, 1)->tries, 1);
	assert_int_equal(queue_site_rcpt("m1", 0, 0)->tries, 1);
	queue_site_end();
}

static void
a_rest_tells_how_many_wait(void **state)
{
	(void)state;
	begin("", TO_HOP);
	queue_hop_outcome(0, ECONNREFUSED);
	put_many(50, "<bob@two.example>");
	queue_site_pass(M);
	assert_true(queue_site_logged("; messages that wait for it: 50") > 0);
	assert_int_equal(queue_site_logged("messages that wait for it: 50"),
	    queue_site_logged("temporarily suspended for "));
	queue_site_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivered_is_delivered_though_not_written),
		cmocka_unit_test(what_was_not_written_is_written_soon),
		cmocka_unit_test(who_leaves_writes_it),
		cmocka_unit_test(what_can_not_be_removed_is_not_sent_again),
		cmocka_unit_test(all_settled_and_not_written),
		cmocka_unit_test(a_request_knows_it_too),
		cmocka_unit_test(unsure_and_not_written),
		cmocka_unit_test(a_hold_that_can_not_be_written_is_none),
		cmocka_unit_test(each_try_is_counted),
		cmocka_unit_test(a_rest_tells_how_many_wait),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
