"""Bounce messages as mail servers write them (RFC 3464)."""

from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText


def bounce(message_id: str, action: str, status: str, *, whole: bool = False) -> bytes:
    """A delivery status notification about the e-mail of that Message-ID, with all of it or only its headers."""
    made = MIMEMultipart("report", report_type="delivery-status")
    made["From"], made["Subject"] = "MAILER-DAEMON@mx.example", "Undelivered Mail Returned to Sender"
    made.attach(MIMEText("I'm sorry to have to inform you ..."))
    status_part = MIMEBase("message", "delivery-status")
    per_message, per_recipient = EmailMessage(), EmailMessage()
    per_message["Reporting-MTA"] = "dns; mx.example"
    per_recipient["Final-Recipient"] = "rfc822; ana@customer.example"
    per_recipient["Action"], per_recipient["Status"] = action, status
    per_recipient["Diagnostic-Code"] = f"smtp; 550 {status} no such user"
    status_part.set_payload([per_message, per_recipient])
    made.attach(status_part)
    if whole:
        original = EmailMessage()
        original["Message-ID"] = f"<{message_id}>"
        original["Subject"] = "Acme: how was it?"
        original.set_content("Hello")
        wrapped = MIMEBase("message", "rfc822")
        wrapped.set_payload([original])
        made.attach(wrapped)
    else:
        headers = MIMEText(f"Message-ID: <{message_id}>\nSubject: Acme: how was it?\n", "rfc822-headers")
        made.attach(headers)
    return made.as_bytes()
