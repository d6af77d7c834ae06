#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char all[] =
"hopseal VERB ...                 looks at and signs DKIM2 messages\n"
"\n"
"  verify      the verdict about a message, as one JSON line\n"
"  explain     its chain hop by hop, what each changed, and where it differs\n"
"  history     the message as an earlier hop sent it\n"
"  dsn-verify  whether a bounce may be relied upon\n"
"  sign        originates, or extends the chain there is\n"
"  recipe      what leads from a changed message back to the one before\n"
"  keygen      makes a key and prints its DNS record\n"
"  dns-record  the DNS record of a key there is\n"
"  which-key   what would sign mail from an address\n"
"  key         makes, shows, activates and retires keys\n"
"  check       the configuration, and all keys, certificates and tables\n"
"  queue       lists, shows, retries, holds, moves what waits for delivery\n"
"  status      what hopseald does now: mail, queue, keys, processes\n"
"  reload      has hopseald take over the changed configuration and keys\n"
"  trace       the life of one message, as the log tells it\n"
"  config      the configuration as it counts, a sample, every directive\n"
"  test        a real message through a listener, and what was said of it\n"
"  bypass      lets mail of a listener pass unsigned and unjudged for a while\n"
"  pause       new mail of a listener has to wait\n"
"  drain       new connections to a listener are turned away\n"
"  resume      the end of both\n"
"  set         another verify= for a listener\n"
"  debug       has the dialogue of some clients in the log for a while\n"
"  help VERB   its options; --version\n"
"\n"
"A MESSAGE is a file, or standard input. Addresses stand with or without <>; <>\n"
"is the null path. Options are --name value or --name=value.\n"
"exit: 0 pass  1 fail  2 permerror  3 temperror  4 none  64 usage\n"
"      66 a file cannot be read  70 cannot do  78 a mistake in the configuration\n";

#define LOOKUP_OPTIONS \
"  --mail-from A      the envelope it came with; comes together with --rcpt-to.\n" \
"  --rcpt-to B ...    Without an envelope that part is not checked\n" \
"  --dns JSON         key records from a file: {\"sel._domainkey.dom\": [\"TXT\"]}\n" \
"  --resolver A:P     ask this resolver; without either the system's is asked\n" \
"  --time T           the second of 1970 at which it is seen; without it: now\n"

#define ORDER_OPTIONS \
"  -c FILE            the configuration, which says where STATE is; without it\n" \
"                     /etc/hopseal/hopseal.yaml\n" \
"  --state DIR        STATE itself\n" \
"\n" \
"A reload keeps orders; a restart of hopseald, and a reload that takes the\n" \
"listener away, forget them. What is in force is printed.\n" \
"exit: 0 done, 69 hopseald refuses, 75 it is not running,\n" \
"      66 only root and the user of hopseald may ask\n"

static const struct {
	const char *verb, *text;
} texts[] = {
	{"verify",
"hopseal verify [OPTIONS] [MESSAGE]\n"
"\n"
"The last line of output is JSON: result error fully_verified\n"
"provisionally_verified provisional_result provisional_error envelope condition\n"
"signatures instances.\n"
"\n"
LOOKUP_OPTIONS
"\n"
"exit: the verdict, 0 pass 1 fail 2 permerror 3 temperror 4 none\n"},
	{"explain",
"hopseal explain [OPTIONS] [--original FILE] [--json] [MESSAGE]\n"
"\n"
"The chain hop by hop: who sent it to whom, its signatures, what it changed (from\n"
"its recipe). All failures in the order of the draft. Where a hash does not fit:\n"
"which change, of those that mail servers make, makes it fit, and the first octet\n"
"that differs. Colours on a terminal only; NO_COLOR turns them off.\n"
"\n"
LOOKUP_OPTIONS
"  --original FILE    an earlier copy: it is compared with the message as it was\n"
"                     at the same instance, and the first other octet is named\n"
"  --json             one line with all of it:\n"
"\n"
"  result error fully_verified provisionally_verified provisional_result\n"
"  provisional_error envelope condition\n"
"                     as verify says them\n"
"  octets time signatures instances mail_from rcpt_to\n"
"                     what the text begins with\n"
"  hops[]             i t d mf rt nd n f; result error of its signatures;\n"
"                     s[]: selector algorithm group result error\n"
"                     content: m new recipe result error header_fits body_fits,\n"
"                     null where they cannot be known; changes: all (how many)\n"
"                     and list[]: change (added removed), field or line, text\n"
"  failures[]         result error\n"
"  differences[]      part (header body signature field), m or i, selector;\n"
"                     by (search original), explained, text\n"
"                     header, field: fields[]: change (added removed changed)\n"
"                     field number (from below) octet (of the value) hash_octet\n"
"                     (of the hash input) was is\n"
"                     body: octet (of the hash input) line column was is\n"
"\n"
"Octets, lines and columns count from 1. What is no UTF-8 is shown as U+FFFD.\n"
"exit: the verdict, 0 pass 1 fail 2 permerror 3 temperror 4 none\n"},
	{"history",
"hopseal history -i N [MESSAGE]\n"
"\n"
"The message as hop N sent it, on standard output: the recipes above its instance\n"
"are undone, later DKIM2 fields are left out, and so are fields that no hash\n"
"covers (Received, X-...) where they stand above signature N.\n"
"\n"
"What no recipe touched stays octet for octet. A value from a recipe takes the\n"
"place of a field of its name that the recipe takes away, from the bottom up;\n"
"where there is none left it stands right above the one before it, or below the\n"
"one after it, or at the end of the header. Such a field is on one line, its name\n"
"as the field that it replaces has it, else with capitals (List-Id). Empty lines\n"
"at the end of a body that was rebuilt are gone: no hash covers them.\n"
"\n"
"Nothing comes out where it would not be what hop N signed: no such signature, a\n"
"recipe that cannot be undone, hashes that do not fit (exit 70). Signatures are\n"
"not checked: pipe it to hopseal verify.\n"},
	{"dsn-verify",
"hopseal dsn-verify --mail-from A --rcpt-to B [OPTIONS] [MESSAGE]\n"
"\n"
"Whether a bounce may be relied upon: the bounce itself, the message that it\n"
"returns, and that they belong together. One line of JSON.\n"
"\n"
LOOKUP_OPTIONS
"\n"
"exit: 0 pass 1 fail 2 permerror 3 temperror\n"},
	{"sign",
"hopseal sign --domain D --selector S --key PEM ENVELOPE [OPTIONS] [MESSAGE]\n"
"\n"
"The message with its new fields on top. Mail without DKIM2 fields is originated,\n"
"else the chain is extended: whether it was fully verified is yours to know, or\n"
"--proof-dns verifies it first.\n"
"\n"
"  --key2 PEM --selector2 S2   a second key; --join and: both must be good (this\n"
"                     is the default), --join or: one is enough\n"
"  --mail-from A --rcpt-to B ...   the envelope that it will leave with; or\n"
"  --next-domain D    who signs next (an imaginary hop)\n"
"  --flags F,F        feedback, feedhere, exploded; --exploded is the last one\n"
"  --nonce N          n=\n"
"  --hash H,H         sha256 (the default), sha512\n"
"  --timestamp T      t=; without it: now\n"
"  --original OLD     the message as it came: what was changed since is written\n"
"                     down as a recipe\n"
"  --recipe JSON      a file with the recipe\n"
"  --proof-dns JSON   key records to verify the message as it came\n"
"\n"
"exit: 0 signed, 70 refused and why\n"},
	{"recipe",
"hopseal recipe OLD NEW\n"
"\n"
"The recipe that leads from the message NEW back to OLD, as JSON. Nothing comes\n"
"out where nothing that is hashed differs.\n"
"\n"
"exit: 0, 70 where the change cannot be described\n"},
	{"keygen",
"hopseal keygen [--type ed25519|rsa2048] [--keys DIR] DOMAIN SELECTOR\n"
"\n"
"Writes DIR/DOMAIN/SELECTOR.pem, never over a file, and prints the DNS record.\n"
"Its owner alone may read it, and the group that DIR was given to, if any.\n"
"Without --type it is ed25519; without --keys DIR is keys.\n"},
	{"dns-record",
"hopseal dns-record FILE [DOMAIN SELECTOR] [--json]\n"
"\n"
"The DNS record of a private key as a zone line, or with --json for a keys-file.\n"
"Without DOMAIN and SELECTOR they are taken from the path DOMAIN/SELECTOR.pem.\n"},
	{"which-key",
"hopseal which-key ADDRESS [--keys DIR | -c FILE]\n"
"\n"
"The keys that sign mail with this From and MAIL FROM: those of the longest\n"
"domain under DIR that covers it. A line each: DOMAIN SELECTOR ALGORITHM FILE.\n"
"\n"
"  --keys DIR         the folder: DIR/DOMAIN/SELECTOR.pem\n"
"  -c FILE            the configuration, and what each of its listeners does;\n"
"                     without --keys: /etc/hopseal/hopseal.yaml\n"
"\n"
"exit: 0 there is one, 1 none, 78 a mistake in the configuration or unsafe keys\n"},
	{"config",
"hopseal config dump [-c FILE]\n"
"hopseal config sample\n"
"hopseal config manual\n"
"\n"
"dump    every directive with the value that counts, as a configuration that\n"
"        means the same; without -c of /etc/hopseal/hopseal.yaml\n"
"sample  a configuration with every directive in comments, with its default\n"
"manual  the directives as sections of hopseal.yaml(5), in mdoc\n"
"\n"
"exit: 0, or 78 a mistake in the configuration\n"},
	{"key",
"hopseal key new [--type ed25519|rsa2048] DOMAIN SELECTOR\n"
"hopseal key status [DOMAIN [SELECTOR]]\n"
"hopseal key activate DOMAIN [SELECTOR] | --all\n"
"hopseal key retire [--last] DOMAIN SELECTOR\n"
"hopseal key import --opendkim KEYTABLE SIGNINGTABLE\n"
"hopseal key import --rspamd [--path PATH] SELECTORS [PATHS]\n"
"\n"
"  -c FILE            the configuration; without it /etc/hopseal/hopseal.yaml\n"
"  --keys DIR         the folder of the keys itself: DIR/DOMAIN/SELECTOR.pem\n"
"  --keys-file JSON   status, activate: the answers of the DNS from a file\n"
"  --resolver A:P     likewise: ask this one; else as the configuration says\n"
"\n"
"new       makes a key that does not sign yet, and prints its DNS record\n"
"status    a line for each key: made, published (its record is in the DNS),\n"
"          active or retired, and whether its record is what it has to be\n"
"activate  has a key sign, once the DNS shows its record and not before; of a\n"
"          domain, or of all, those that were made\n"
"retire    has it sign no more; its record has to stay for 14 days, which\n"
"          status counts down. The last active key of a domain only with --last\n"
"\n"
"import    takes over the keys of another signer, as made: --opendkim, those of\n"
"          its KeyTable that its SigningTable uses; --rspamd, those of the maps\n"
"          of dkim_signing, or at PATH with $domain and $selector in it. All or\n"
"          nothing; a key is never written over\n"
"\n"
"The state stands in SELECTOR.state beside the key; a key without is active.\n"
"hopseald goes by it from its next reload on.\n"
"exit: 0 done, 1 an ALARM of status, 70 refused, 75 the DNS gives no answer,\n"
"      78 a mistake in the configuration or unsafe keys\n"},
	{"check",
"hopseal check [-c FILE] [--dns [--keys-file JSON | --resolver A:P]]\n"
"\n"
"What hopseald -t looks at: the configuration, keys, certificates, tables, and\n"
"who may read and write them. Every mistake in one run, as FILE:LINE:COLUMN: what\n"
"is wrong and what would be right; warnings of what is seldom meant.\n"
"\n"
"  -c FILE            the configuration; without it /etc/hopseal/hopseal.yaml\n"
"  --dns              the record of each key, too: it must be the public half of\n"
"                     an active key, and for 14 days of a retired one\n"
"  --keys-file JSON   the answers of the DNS from a file\n"
"  --resolver A:P     ask this resolver; without either the configuration says\n"
"\n"
"exit: 0 good, 75 the DNS gives no answer, 78 mistakes\n"},
	{"status",
"hopseal status [-c FILE | --state DIR] [--json]\n"
"\n"
"What hopseald does now: since when, listeners, sessions and messages since its\n"
"start and in the last minute, queue, copies, keys, certificates, processes; and,\n"
"where the last reload was refused, why. Colours on a terminal only; NO_COLOR\n"
"turns them off.\n"
"\n"
"  -c FILE            the configuration, which says where STATE is; without it\n"
"                     /etc/hopseal/hopseal.yaml\n"
"  --state DIR        STATE itself\n"
"  --json             one line with all of it: hopseald reload reload-error[]\n"
"                     listener[] mail[] (by role; lately-... in the last window\n"
"                     seconds) queue copies keys key[] (1000 of a state at\n"
"                     most) order[] certificate[] process[]; times\n"
"                     in seconds of 1970\n"
"\n"
"exit: 0, 75 hopseald is not running, 66 only root and its user may ask\n"},
	{"reload",
"hopseal reload [-c FILE | --state DIR]\n"
"\n"
"Has hopseald read everything again: configuration, keys, certificates, tables.\n"
"All of it takes over, or nothing does: then every mistake is told, and the old\n"
"configuration goes on. No session is lost. SIGHUP does the same, without a word.\n"
"A key that is gone is a mistake where its domain has no other: retire it first.\n"
"What `hopseal check` warns of is told, too.\n"
"\n"
"  -c FILE            the configuration, which says where STATE is; without it\n"
"                     /etc/hopseal/hopseal.yaml\n"
"  --state DIR        STATE itself\n"
"\n"
"exit: 0 the new configuration is in use, 75 hopseald is not running, 78 it was\n"
"      refused, 66 only root and the user of hopseald may ask\n"},
	{"bypass",
"hopseal bypass on --listener L ... | --all [--for TIME]\n"
"hopseal bypass off --listener L ... | --all\n"
"\n"
"For the night it breaks: mail of the listener leaves unsigned and is not judged,\n"
"and waits for no signer, no keeper, and no DNS but that of its next hop. Who may\n"
"send, and what to whom, is as ever; MAIL FROM is moved as ever, and From where\n"
"there is no chain. What goes through a queue is kept where it may be, else it\n"
"goes through. Bounces of the server behind and reports that come back are judged\n"
"as ever. The log has an ALARM when it begins, every 10 minutes, and at its end,\n"
"and bypass=yes for each recipient.\n"
"\n"
"  --for TIME         30s, 10m, 2h: it ends by itself. Without it 1h; at most 7d\n"
ORDER_OPTIONS},
	{"pause",
"hopseal pause L ... | --all [--for TIME]\n"
"\n"
"MAIL at listener L is answered 451 4.3.2: clients come again. Sessions stay, and\n"
"what is in the queue goes on (hopseal queue hold stops it). Until resume.\n"
"\n"
"  --for TIME         30s, 10m, 2h: it ends by itself; at most 7d\n"
ORDER_OPTIONS},
	{"drain",
"hopseal drain L ... | --all [--for TIME]\n"
"\n"
"New connections to listener L are answered 421 4.3.2; those there are go on, and\n"
"end when they are silent between messages. Until resume.\n"
"\n"
"  --for TIME         30s, 10m, 2h: it ends by itself; at most 7d\n"
ORDER_OPTIONS},
	{"resume",
"hopseal resume L ... | --all\n"
"\n"
"The end of pause and drain.\n"
"\n"
ORDER_OPTIONS},
	{"set",
"hopseal set L | --all verify=observe|enforce|off [--for TIME]\n"
"hopseal set L | --all verify=\n"
"\n"
"Another verify than the configuration has, until it is taken back (verify= with\n"
"nothing behind it). Refused where others go by what is verified there: at a\n"
"listener with a pair, and `off` at the pair itself, with a policy, and where a\n"
"forwarder queues, adopts or rewrites From.\n"
"\n"
"  --for TIME         30s, 10m, 2h: it ends by itself; at most 7d\n"
ORDER_OPTIONS},
	{"debug",
"hopseal debug --client NET ... [--for TIME]\n"
"hopseal debug off [--client NET ...]\n"
"\n"
"Sessions of clients in NET (192.0.2.7, 192.0.2.0/24, 2001:db8::/32) have their\n"
"dialogue in the log, commands (C:) and replies (S:), and what the next hop\n"
"replies to their mail; never content, and of AUTH and of unknown commands only\n"
"that they came.\n"
"\n"
"  --for TIME         30s, 10m, 2h: it ends by itself. Without it 10m; at most 1d\n"
ORDER_OPTIONS},
	{"test",
"hopseal test LISTENER --to ADDRESS [--from ADDRESS] [-c FILE]\n"
"\n"
"Sends a small message to ADDRESS through the listener, over its first address,\n"
"from this machine, and shows what was said at each step. It is real: somebody\n"
"gets it. This machine must be one of the listener's `clients`, or ADDRESS be of\n"
"its `domains`, as for all other mail.\n"
"\n"
"  --from A           without it postmaster@ the first of the listener's\n"
"                     `senders`, where it has some, else of `hostname`\n"
"  -c FILE            the configuration; without it /etc/hopseal/hopseal.yaml\n"
"\n"
"exit: 0 taken, 1 refused for good, 75 not now, or nobody answers,\n"
"      78 a mistake in the configuration\n"},
	{"queue",
"hopseal queue list [FILTERS] [ID ...] [--json]\n"
"hopseal queue show ID [--copy N] [--head | --content]\n"
"hopseal queue retry | hold | release | remove [FILTERS] [ID ...] | --all\n"
"hopseal queue export [FILTERS] [ID ...] [--remove] DIR\n"
"hopseal queue import FILE ...\n"
"\n"
"  -c FILE            the configuration; without it /etc/hopseal/hopseal.yaml\n"
"  --spool DIR        the folder of the queue itself, STATE/queue\n"
"\n"
"FILTERS; all that are given must be true, of one recipient not yet delivered:\n"
"  --to-domain D      it is of this domain, as sent or as we send it\n"
"  --from A           the sender, as the client said it; <> for none\n"
"  --older TIME       arrived that long ago: 5m, 2h, 3d\n"
"  --reason TEXT      stands in the last reply, in any case\n"
"  --status S         queued, unsure (a try is under way, or ended without an\n"
"                     answer), delivered, failed, expired, reported\n"
"                     or held\n"
"\n"
"list    reads like mailq: ID! is held, ID# has failed for good, ID* is unsure\n"
"  --json             one line a message: id listener arrival_time signing_time\n"
"                     (seconds of 1970) size (of the content) file_size client\n"
"                     sender held copies (how many)\n"
"                     recipients[]: copy (from 1) to orig_to mail_from status\n"
"                     tries next_try (null: none) reason\n"
"show    what is known of it, and the octets of copy N (1) as it leaves\n"
"retry   tries it now; what had failed or expired has all its time again\n"
"hold    tries it no more, until release, which tries it at once\n"
"remove  forgets it: nobody is told\n"
"export  copies files to DIR; with --remove they leave the queue\n"
"import  takes such files into this queue\n"
"\n"
"list, show and export without --remove work without the daemon, too.\n"
"exit: 0 done, 1 an ID is not in the queue, 66 something cannot be read,\n"
"      69 hopseald refuses, 75 hopseald is not running, or a try is under way\n"},
	{"trace",
"hopseal trace ID [OPTIONS]\n"
"hopseal trace [--message-id M] [--from A] [--to A] [OPTIONS]\n"
"\n"
"  ID                 as log, Received and our reply to the client have it; with\n"
"                     it what the queue reported of the message\n"
"  --message-id M     messages with this Message-ID, with this MAIL FROM, for\n"
"  --from A           this recipient, as said or as we send it; all that are\n"
"  --to A             given must be true. Several are listed, a line each\n"
"  --since TIME       not older than 2h, 3d, 2026-11-26, \"2026-11-26 23:30\"\n"
"  --log FILE ...     the log, plain or JSON, as hopseald, syslog or journalctl\n"
"                     -o json wrote it; - is standard input. Without: the journal\n"
"  --unit NAME        of the journal; without it hopseald\n"
"  --json             one line a message: id report_on from message_id client\n"
"                     listener size reports[]\n"
"                     recipients[]: to orig_to status dsn relay delay reply\n"
"                     lines[]: as the log has them with log: json\n"
"\n"
"exit: 0 found, 1 nothing is told of it, 66 the log cannot be read\n"},
};

int
cli_help_verb(const char *verb)
{
	for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
		if (strcmp(verb, texts[k].verb) == 0) {
			fputs(texts[k].text, stdout);
			return CLI_OK;
		}
	return cli_fail(CLI_USAGE, "no help for %s; see hopseal help", verb);
}

int
cli_help(int argc, char **argv)
{
	if (argc > 2)
		return cli_fail(CLI_USAGE, "help [VERB]");
	if (argc == 2)
		return cli_help_verb(argv[1]);
	fputs(all, stdout);
	return CLI_OK;
}
