"""Run by the Python that Mailman is installed for: makes its lists.

  mailman_lists.py CONFIG < {"domain": ..., "lists": {NAME: {...}}}"""

import json
import sys

from mailman.app.lifecycle import create_list
from mailman.config import config
from mailman.core.initialize import initialize
from mailman.interfaces.action import Action
from mailman.interfaces.archiver import ArchivePolicy
from mailman.interfaces.domain import IDomainManager
from mailman.interfaces.mailinglist import (
    DMARCMitigateAction, Personalization, ReplyToMunging)
from mailman.interfaces.member import DeliveryMode
from mailman.interfaces.usermanager import IUserManager
from zope.component import getUtility

ENUMS = {"dmarc_mitigate_action": DMARCMitigateAction,
         "reply_goes_to_list": ReplyToMunging,
         "personalize": Personalization}


def subscribe(mlist, member):
    address, _, mode = member.partition(" ")
    users = getUtility(IUserManager)
    known = users.get_address(address) or users.create_address(address)
    subscription = mlist.subscribe(known)
    if mode == "digest":
        subscription.preferences.delivery_mode = DeliveryMode.mime_digests
    if mode == "plain-digest":
        subscription.preferences.delivery_mode = \
            DeliveryMode.plaintext_digests


def main():
    initialize(sys.argv[1])
    wanted = json.load(sys.stdin)
    getUtility(IDomainManager).add(wanted["domain"])
    for name, more in wanted["lists"].items():
        mlist = create_list(f"{name}@{wanted['domain']}", [])
        mlist.display_name = name.capitalize()
        mlist.description = "About everything"
        mlist.subject_prefix = f"[{name}] "
        mlist.max_message_size = 0
        mlist.administrivia = False
        mlist.digests_enabled = False
        mlist.send_welcome_message = False
        mlist.archive_policy = ArchivePolicy.never
        mlist.default_member_action = Action.accept
        mlist.default_nonmember_action = Action.accept
        for member in more.pop("members"):
            subscribe(mlist, member)
        for attribute, value in more.items():
            if attribute in ENUMS:
                value = ENUMS[attribute][value]
            setattr(mlist, attribute, value)
    config.db.commit()


main()
