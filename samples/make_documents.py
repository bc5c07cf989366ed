"""Makes the PDF and Word documents of the sample handbook from the texts below; the other formats are written by hand.

Run `python samples/make_documents.py` after changing a text, and commit what it writes into `samples/handbook/`.
It needs reportlab and python-docx. The same texts give the same bytes: dates and ids are fixed.
The texts are in a small markup: `#` headings, `-` and `1.` lists, `|` tables, all else paragraphs, wrapped as one likes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from docx import Document
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

HANDBOOK = Path(__file__).parent / "handbook"
COMPANY = "Quillbrook Pumps"

EXPENSES = """
# Expenses and travel

Policy FIN-07, version 5. Valid from 1 April 2025. It replaces the Travel Policy of 1 June 2022, which no longer
applies. Owner: Chief Financial Officer.

## 1. What this policy is for

This policy says what Quillbrook Pumps pays when its employees travel or spend money for the company, and how they get
it back. It applies to all employees in Leeds, Porto and Ghent, to apprentices and to members of the board.
Contractors have rules of their own, which stand in "Contractors and temporary staff". All amounts are in euros.
Payroll converts amounts in other currencies at the rate of the European Central Bank on the day of the expense.

Three questions come before every trip. Could it be a video call? Could one person go instead of two? Can it be joined
to another visit nearby? A trip to a customer whose pump has stopped needs none of them: go.

## 2. Who approves

Approval comes before booking. A trip or a purchase of up to €500 in all is approved by the line manager, from €500 to
€3,000 by the head of department, and above that by the Chief Financial Officer. The Managing Director's trips are
approved by the chair of the board. Nobody approves expenses of their own, nor of somebody they report to.

Field service technicians hold a standing approval for trips to customers within Europe, up to €1,200 for each trip.
It is renewed every January.

## 3. Booking

All trains, flights, hotels and rental cars are booked through the Travel Desk, extension 4400, or in its booking
tool, Wayfare. Book at least 14 days ahead where you can. Bookings made elsewhere are repaid only if the Travel Desk
was closed and the journey began within 24 hours.

The Travel Desk is staffed on weekdays from 8:00 to 17:30, Leeds time. At other times the agency's hotline changes
bookings that have already been made; its number is on the travel card.

If a trip is cancelled, tell the Travel Desk on the same day. Vouchers and refunds belong to the company. Miles and
points that you collect may be kept and used privately, but they must never be the reason for choosing a dearer
connection.

## 4. Trains and flights

Take the train when the journey from door to door takes less than five hours by rail. Rail travel is in second class.
First class is paid when it costs no more than ten euros above second class, or when you have to work with
confidential papers for more than two hours. A yearly rail discount card is paid for whoever is likely to save its
price.

Flights are booked in economy class. Premium economy may be booked for flights of more than seven hours. Business
class is booked only with the written approval of the Managing Director, whatever the length of the flight. No more
than six employees, and no more than two members of the board, travel on the same aircraft.

One checked bag is paid for trips of three nights or more, and any number of bags with tools or samples. Seat
reservations of up to €25 for each flight are paid. Lounges and fast lanes are not.

## 5. Hotels

The company pays for hotels up to €165 per night, breakfast included. In London, Paris, Zurich and Copenhagen the
limit is €210 per night. If a trade fair has made every hotel within a reasonable distance dearer, the Travel Desk may
go up to 50 per cent above the limit and notes the reason.

For stays of more than ten nights in one place, ask the Travel Desk for a serviced apartment. Whoever stays with
family or friends instead of a hotel may bring a present of up to €30 for each stay, against receipt. In Porto, six
rooms at the Casa da Ribeira are kept for colleagues at a fixed price of €88; try these first.

## 6. Per diems

Meals and small costs on a trip are paid by a flat rate, the per diem, for which no receipts are needed. The full rate
is paid for each calendar day that is spent wholly away, and the half rate for days of departure and return and for
day trips of more than eight hours. Nothing is paid for shorter trips, nor for trips between your home and your own
site.

If breakfast is included in the hotel's price, 20 per cent of the full rate is deducted. For a lunch or dinner that
somebody else pays, 40 per cent is deducted for each.

| Country | Full day | Half day |
| Belgium | €58 | €29 |
| Denmark | €78 | €39 |
| France | €60 | €30 |
| Germany | €56 | €28 |
| Italy | €52 | €26 |
| Netherlands | €57 | €28.50 |
| Norway | €82 | €41 |
| Poland | €44 | €22 |
| Portugal | €48 | €24 |
| Spain | €50 | €25 |
| Switzerland | €84 | €42 |
| United Kingdom | €62 | €31 |
| United States | €76 | €38 |
| Other countries in Europe | €50 | €25 |
| All other countries | €60 | €30 |

The rate is that of the country in which you are at midnight; for a day trip, that of the country you visited. Payroll
reviews the rates each January and publishes changes by 15 February.

## 7. Cars

Use of your own car is repaid with €0.42 per kilometre, of a motorcycle with €0.18 and of a bicycle with €0.20. Each
colleague whom you take along adds €0.05 per kilometre. This covers fuel, wear and insurance; damage to your car is
covered by the company's insurance for business trips, with an excess of €300 that the company pays as well.

Rental cars are of the compact class, and of the middle class when three or more people travel together. Electric cars
are preferred when the trip is shorter than 250 kilometres a day. Take no extra insurance at the counter, since the
company's policy covers it. Nobody drives after more than ten hours of work and travel on the same day.

Taxis are paid at night between 22:00 and 6:00, with heavy luggage, or when several people together travel more
cheaply. Parking on business trips, tolls and ferries are paid against receipt.

## 8. Time spent travelling

Time on the way counts as working time, up to ten hours a day including work. Travel on a Saturday, a Sunday or a
public holiday is given back hour for hour within eight weeks. After a return later than 23:00, work begins at 11:00
at the earliest on the next day. After an intercontinental flight overnight, the day of arrival is free.

Someone who has spent more than twelve weekends away in a year may ask for three extra days of leave.

## 9. Meals with guests

Meals with customers and suppliers are paid up to €65 per person, drinks included. There must not be more employees
than guests at the table. Write the names of all who were there, their company and the occasion on the receipt. Tips
of up to ten per cent are paid.

Team dinners are paid twice a year, with up to €40 per person, and are approved by the head of department. Farewell
presents for colleagues are paid up to €50 after ten years of service, and up to €20 before.

## 10. Company card and advances

Employees who travel more than six times a year can have a company card. Its limit is €4,000 a month. It is for
business only; private use, even by mistake, is reported to Payroll within three days and paid back with the next
salary. Cards that were not used for nine months are cancelled.

Those who have no card can ask Payroll for an advance of up to 80 per cent of the expected costs when a trip lasts
more than five nights. The advance is transferred five working days before departure and is settled with the claim.

## 11. Claiming expenses

Enter your expenses in Ledgerly within 45 days of the expense. Claims that are later than that are not paid, unless
you were ill or on parental leave. A photo of the receipt taken with the app is enough, and the paper may then be
thrown away.

Receipts are needed for every expense of more than €15. If a receipt is lost, a signed statement takes its place, at
most twice in a calendar year. Claims that are complete by the 10th of a month are paid on the 15th, and the others on
the last working day of the month.

Payroll checks one claim in ten in full. False claims are a breach of the code of conduct and can lead to dismissal.

## 12. What is not paid

- Fines, parking tickets and tolls that were missed.
- Minibars, films, sports and spa in hotels.
- Laundry on trips of less than five nights.
- Clothes, suitcases and other things for private use, save protective clothing.
- Costs of partners and children who come along.
- Upgrades of any kind, unless they cost less than what was allowed.

## 13. Insurance and safety

All business travellers are insured through Meridian Assist against illness, accident, liability and loss of luggage
up to €2,500. You are covered from the door of your home until you are back, and for up to five private days added to
the trip. Show the travel card at the hospital; Meridian pays directly.

For countries with a travel warning, the Head of People and the Safety Officer have to agree before booking. In an
emergency, ring the number on the card first and your manager second. The Travel Desk knows from Wayfare where
everybody is, which is one more reason for booking there.
"""

SECURITY = """
# Information security

Policy IT-01, version 4.2. Valid from 15 January 2026. Owner: Information Security Officer. It is reviewed each year
in December.

## 1. Why it matters

Our pumps stand in waterworks. Whoever steals a drawing, a password or a customer's network plan from us may do harm a
long way from our offices. This policy applies to everyone who uses the computers, networks or papers of Quillbrook
Pumps: employees, apprentices, contractors and temporary staff. Where it differs for contractors, it says so.

The Information Security Officer, Dorota Lis, answers for this policy and reports to the board twice a year.
Exceptions are asked for in writing, granted for six months at most, and kept in a list which the board sees.

## 2. Classes of information

All information belongs to one of four classes. Its author chooses the class and writes it at the top of the first
page. Where nothing is written, information is Internal.

| Class | Examples | May be seen by | Sending outside |
| Public | Catalogues, press releases | Everyone | Free |
| Internal | Minutes, this handbook | Everyone who works here | With a reason |
| Confidential | Prices, drawings, staff files | Those named by the author | Encrypted, with an agreement |
| Secret | Source code of the Conductor, plans of a takeover | A written list of people | Only by the Security Officer |

Confidential and Secret papers are locked away in the evening and are shredded in the grey bins. Customers' network
plans are always Confidential, whatever the customer says about them.

## 3. Accounts and passwords

Each account belongs to one person and is never shared. Passwords have at least 14 characters. They need not be
changed at fixed intervals; they are changed when there is a reason to think that somebody else knows them. Use
Lockwell, the password manager, which the company pays for and which you may use for your private passwords too.

A second factor is required for every account. Administrators, Payroll and the members of the board use a hardware key
for it; all others may choose between a hardware key and the authenticator app. Codes by text message have not been
accepted since July 2024.

After eight wrong attempts an account is locked for 30 minutes. The Service Desk resets passwords only after a video
call in which you show your badge. It will never ask you for your password.

Managers review the rights of their people in March and September. Rights that nobody confirms within four weeks are
taken away. Accounts of leavers are closed at 18:00 on the last working day. Contractors' accounts expire after 90
days unless the sponsor renews them.

## 4. Computers and phones

The screen locks itself after five minutes; lock it yourself whenever you get up. Disks are encrypted, and you must
not switch the encryption off. Critical security updates are installed within 72 hours, all others within 14 days. A
device that is late is shut out of the network until it has caught up.

Software comes from the Software Shelf. What is not there is requested from the Service Desk, which evaluates it
within three working days. Nobody works with administrator rights from day to day; whoever needs them for a task gets
them for up to eight hours.

Only USB sticks that were given out by IT are allowed, since these are encrypted. Sticks found anywhere, and sticks
given away at fairs, are handed to the Service Desk without being plugged in.

## 5. E-mail and messages

Be wary of messages that hurry you, promise something, or ask for money or passwords. Report them with the fish button
in the mail program; you get an answer within one working day. Clicking on a link is no shame, but keeping quiet about
it is. Four times a year the Security Officer sends test messages. The results are published for each site, never for
each person.

Changes of a supplier's bank account are confirmed by a call to a number we knew before. Payments of more than €10,000
need two people, who do not sit in the same room when they approve.

E-mails are deleted after three years, unless they were filed with a project or a contract. Business is not done
through private e-mail accounts or private messengers. Forwarding mail automatically to an address outside is blocked.

## 6. Assistants and other services on the internet

Services in the cloud may be used if they are on the list of approved services in the Software Shelf. This goes for
assistants that write, translate or summarise with artificial intelligence too. Text of the class Internal may be
given to approved assistants; Confidential and Secret information may not be given to any of them. Whoever uses such a
text answers for it as if they had written it.

Translations of Confidential papers are ordered from Communications, which has agreements with two translators.

## 7. Networks and work outside the office

From outside, use the Causeway VPN. A session ends after 12 hours. The guest network is for visitors and private
devices and reaches nothing inside. Machines in the Porto hall are in a network of their own, and no laptop may be
connected to them except those marked with an orange frame.

In trains and cafés use a privacy filter, which the Service Desk gives out free of charge. On public Wi-Fi, switch the
VPN on before anything else. When you travel to a country outside Europe, the United States, Canada and Japan, take a
travel laptop, which is wiped after the trip; order it ten working days ahead.

## 8. Buildings and visitors

Wear your badge so that it can be seen. Badges are blue for employees, yellow for contractors, green for temporary
staff and red for visitors. Visitors are registered one day ahead, met at reception and never left alone. In the Porto
hall and the design office in Leeds they may not take photographs.

A lost badge is reported to reception on the same day. The second replacement within a year costs you €15. Cameras
watch the entrances and the loading bays; the recordings are kept for 30 days and are looked at only by the Security
Officer together with a works representative.

## 9. Backups

Servers and shared drives are backed up every night at 2:00. Nightly copies are kept for 35 days and monthly copies
for 13 months. One copy is always kept in another town. Files that stand only on your laptop are not backed up, so
keep your work on the shared drives. Each quarter the network engineer restores one server as a trial, and the result
goes to the Head of IT.

A lost file is brought back by the Service Desk, usually within four hours. For anything older than 35 days it takes
up to two working days.

## 10. When something happens

Report every suspicion of an incident within one hour to extension 4199, day or night, or to
security@quillbrook.example. An incident may be a strange window, a message sent to the wrong person, a door that was
left open or a login you do not recognise. Leave the machine switched on, take it off the network, and touch nothing
else.

Loss or theft of a laptop, phone or badge with access to the server room is reported within four hours. The device is
then wiped from afar. Nobody is punished for losing something, or for a mistake that they report themselves.

The Security Officer decides within 24 hours whether authorities and customers must be told. Where personal data are
concerned, the Head of Legal informs the data protection authority within 72 hours. Only the Head of Communications
speaks about incidents to people outside.

1. Within one hour: report, and take the machine off the network.
2. Within four hours: the Security Officer names a lead for the incident.
3. Within 24 hours: first written report to the Managing Director.
4. Within ten working days: review with all who took part, and a list of what will change.

## 11. Training

New employees finish the security course within their first ten working days, and everybody repeats it once a year. It
takes 40 minutes. Contractors finish it on the day their account is opened. Whoever has not finished it two weeks
after the reminder loses access until it is done. People with administrator rights also attend a one-day workshop
every two years.

## 12. Checks and breaches

Logs of logins and network connections are kept for six months. They are evaluated for security only, and not to
measure performance. An outside firm tests our defences every spring. Breaches out of carelessness lead to a talk and
a repeat of the course; breaches on purpose are handled under the code of conduct.
"""

ONBOARDING = """
# Onboarding

Valid from 1 February 2026. Owner: People Partners in Leeds, Porto and Ghent. A guide for new employees and for the
managers who look after them.

## Before the first day

The contract is sent at least ten working days before you start. Please upload the following to Tidemark three days
before your first day:

- a copy of your passport or identity card,
- your bank details and tax number,
- somebody we can call in an emergency,
- certificates that the job asks for, such as a fork-lift licence.

Your manager orders the equipment, finds you a buddy and writes to your team. If you move more than 100 kilometres for
the job, the company pays up to €3,000 towards the removal and for four weeks in a furnished flat. You pay half of it
back if you leave on your own wish within 18 months.

## The first day

Come to reception at 9:30; on later days you begin when your team does. You get your badge, your laptop and a tour of
the building, and the company invites you and your buddy to lunch. Bring nothing but an identity card.

Your buddy is a colleague from another team who answers the questions one does not like to ask the manager. The buddy
is yours for the first three months, and has two hours a week for it in the first month.

## Step by step

| When | What | Who sees to it |
| Day 1 | Badge, laptop, tour, lunch | Buddy |
| Days 1 to 3 | Accounts and second factor | Service Desk |
| Week 1 | Goals for the first three months | Manager |
| Week 2 | Security course finished | New employee |
| Week 3 | A day on the support line in Ghent, by video or on site | Head of Service |
| Week 6 | First review talk | Manager |
| Month 3 | Second review talk, with feedback from three colleagues | Manager |
| Month 5 | Decision about probation | Manager and People Partner |
| By month 6 | Visit to the Porto factory, two days | Travel Desk |

Office employees from Leeds and Ghent visit the Porto factory within their first six months. New colleagues from Porto
are invited to Leeds for Founders' Day.

## Safety in the factory

Nobody enters the Porto hall without the safety induction. It takes four hours, is given every Monday and Wednesday at
8:30, and ends with a short test. Safety shoes are bought by yourself and repaid up to €110; the company lends glasses
and ear protection. Shift workers are trained for three weeks beside an experienced colleague before they run a
station alone.

## Probation and notice

Probation lasts six months. During probation either side can end the contract with two weeks' notice. After probation
the notice period is one month in the first two years and three months from then on, unless the law of your country
sets a longer one.

Probation can be prolonged once, by up to three months, if you were ill or on leave for more than six weeks of it. The
decision is told to you in a talk, at least two weeks before probation ends, and never only in writing.

## Learning the language

The company's language is English. Employees who want to learn Portuguese, Dutch or English are given lessons worth up
to €600 a year during their first two years. Half of the lessons may be taken in working hours.

## Apprentices

The factory takes six apprentices each September, and Leeds takes two. An apprenticeship lasts three and a half years.
Apprentices have a mentor instead of a buddy, and spend four weeks of their second year at another site. Nine in ten
were hired afterwards in the past five years.

## Bringing in others

Whoever recommends someone who is hired gets €1,200 when the new colleague has passed probation. For roles on the list
of scarce skills it is €2,000. Managers get nothing for people in their own department, and the People Team gets
nothing at all.

## Contractors and temporary staff

Contractors have no onboarding of this kind. They attend the induction of 90 minutes by video, and the safety
induction if they work in the hall. Temporary staff follow the steps of week 1 and the safety induction; their agency
does the rest.

## When you leave

1. Agree with your manager on the last working day and on the hand-over, at least ten working days ahead.
2. Hand your equipment and your badge to the Service Desk.
3. Talk with your People Partner for half an hour; what you say is passed on only in summary and without your name.
4. You get your reference within two weeks of the last day.
"""

BENEFITS = """
# Pension and benefits

Valid from 1 January 2026. Owner: Head of People and Payroll Manager. For employees; contractors and temporary staff
are not members of the schemes below.

## Pay day

Salaries are paid on the 25th of each month, or on the working day before if the 25th is a weekend or holiday.
Overtime and shift premiums follow one month later. Pay is reviewed once a year, in April.

## Pension

All employees join the pension scheme automatically three months after they start. You can opt out within one month of
joining, and you are asked again every three years. The company pays more when you do:

| You pay (share of base salary) | The company pays | Together |
| 0% (opted out) | 0% | 0% |
| 3% (the least for members) | 5% | 8% |
| 5% (the usual rate) | 8% | 13% |
| 7% or more | 10% | 17% or more |

You can change your rate in Tidemark twice a year, on 1 January and on 1 July. The money is invested by the provider
of your site, in a fund whose risk falls by itself from the age of 55 on.

| Site | Provider | Questions to |
| Leeds | Northmere Pensions | Callum Reyes, extension 4020 |
| Porto | Fundo Atlântico Claro | Inês Carvalho, extension 5200 |
| Ghent | Scheldt Groepsverzekering | Femke de Wolf, extension 6200 |

Your own contributions are always yours. Those of the company are yours after two years of membership, and at once in
Ghent, where the law requires it. You can draw the pension from the age of 60. Your adviser at the provider gives one
free hour of advice each year from the age of 50 on.

## Life and income insurance

If you die while employed, your family receives four times your annual base salary. Name the people who are to receive
it in Tidemark; without a name it goes to your estate.

If you are ill for more than 26 weeks, the income protection insurance pays 60 per cent of your base salary for up to
five years. It begins once you have passed probation, and it is taken into account that the state may pay too.

## Health

Employees in Porto and Ghent have hospital insurance from the first day, which includes their children up to the age
of 25. Partners can be added for €38 a month. Employees in Leeds can join the Fernhill health plan: the company pays
for the employee, and family can be added at the employee's cost in January.

Glasses for screen work are paid up to €150 every two years. A check-up with a doctor is paid every three years from
the age of 40 on.

## Food and getting to work

Employees in Porto and Ghent receive a meal voucher of €8 for each day worked. In Leeds there is a canteen instead,
where a main course costs employees €4.

The company pays 80 per cent of season tickets for trains, trams and buses, up to €150 a month. Bicycles worth up to
€3,000 can be leased through your salary over three years. The car park in Leeds has 120 spaces, free of charge, for
those who come first; in Ghent there are 18 spaces, which are booked in the calendar for a day at a time. Cars can be
charged at both, for €0.30 per kilowatt-hour.

## Learning

Each employee has a training budget of €1,500 a year, which cannot be carried over. Courses that cost more than €2,500
need an agreement: whoever leaves within twelve months of the end pays a part of it back. For examinations there are
three paid days a year.

## Profit share

In good years, the board sets aside a part of the profit for the employees. The profit share is at most six per cent
of the annual base salary, is the same percentage for everybody, and is paid in April. To receive it you must have
been employed on 31 December of the year it is for. It was 4.1 per cent for 2024 and 3.2 per cent for 2025.

## Long service

| Years of service | Award | Extra leave in that year |
| 10 | €500 | None |
| 20 | €1,500 | One week |
| 30 | €3,000 | Two weeks |
| 40 | €5,000 | Four weeks |

Awards are given on Founders' Day. Interruptions of up to a year, and all parental leave, count as service.

## Discounts

Employees buy pumps and meters for private use at half the list price, up to two a year. Retired colleagues keep this,
and the canteen.
"""

MODIFIED = datetime(2026, 2, 2, 9, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Piece:
    """One heading (level 1 or 2), paragraph, list or table of a document."""

    kind: str
    text: str = ""
    level: int = 0
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def read(markup: str) -> Iterator[Piece]:
    """The pieces of a text: blank lines part them, line breaks inside them mean nothing but in lists and tables."""
    for block in re.split(r"\n\s*\n", markup.strip()):
        lines = block.split("\n")
        if heading := re.fullmatch(r"(#+) (.+)", block):
            yield Piece("heading", text=heading[2], level=len(heading[1]))
        elif block.startswith("|"):
            yield Piece("table", rows=tuple(tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines))
        elif marker := re.match(r"- |\d+\. ", block):
            kind = "bullets" if marker[0] == "- " else "numbers"
            yield Piece(kind, items=tuple(re.sub(r"^(- |\d+\. )", "", line) for line in lines))
        else:
            yield Piece("paragraph", text=" ".join(lines))


BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=16, spaceAfter=8)
ITEM = ParagraphStyle("item", parent=BODY, leftIndent=16, bulletIndent=2, spaceAfter=4)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=10, leading=13, spaceAfter=0)
HEADINGS = {
    1: ParagraphStyle("h1", fontName="Helvetica-Bold", fontSize=22, leading=28, spaceAfter=10),
    2: ParagraphStyle("h2", fontName="Helvetica-Bold", fontSize=15, leading=20, spaceBefore=10, spaceAfter=6, keepWithNext=1),
}
GRID = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.lightgrey),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
)


def flowables(piece: Piece) -> Iterator[Flowable]:
    if piece.kind == "heading":
        yield Paragraph(escape(piece.text), HEADINGS[piece.level])
    elif piece.kind == "table":
        yield Table(
            [[Paragraph(escape(cell), CELL) for cell in row] for row in piece.rows], style=GRID, repeatRows=1, hAlign="LEFT"
        )
        yield Spacer(0, 10)
    elif piece.kind == "paragraph":
        yield Paragraph(escape(piece.text), BODY)
    else:
        for number, item in enumerate(piece.items, start=1):
            yield Paragraph(escape(item), ITEM, bulletText="•" if piece.kind == "bullets" else f"{number}.")


def make_pdf(markup: str) -> bytes:
    pieces = list(read(markup))
    title = pieces[0].text
    width, height = A4
    margin = 27 * mm

    def footer(canvas: Canvas, template: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(margin, margin / 2, f"{COMPANY} - {title}")
        canvas.drawRightString(width - margin, margin / 2, f"Page {template.page}")

    target = io.BytesIO()
    frame = Frame(margin, margin, width - 2 * margin, height - 2 * margin, 0, 0, 0, 0)
    page = PageTemplate(frames=[frame], pagesize=A4, onPageEnd=footer)
    template = BaseDocTemplate(target, pagesize=A4, pageTemplates=[page], title=title, author=COMPANY, invariant=1)
    template.build([flow for piece in pieces for flow in flowables(piece)])
    return target.getvalue()


def make_docx(markup: str) -> bytes:
    pieces = list(read(markup))
    document = Document()
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = pieces[0].text, COMPANY, COMPANY
    properties.created = properties.modified = MODIFIED
    properties.comments, properties.revision = "", 1
    for piece in pieces:
        if piece.kind == "heading":
            document.add_heading(piece.text, level=piece.level)
        elif piece.kind == "table":
            table = document.add_table(rows=0, cols=len(piece.rows[0]), style="Table Grid")
            for row in piece.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        elif piece.kind == "paragraph":
            document.add_paragraph(piece.text)
        else:
            for item in piece.items:
                document.add_paragraph(item, style="List Bullet" if piece.kind == "bullets" else "List Number")
    target = io.BytesIO()
    document.save(target)
    return with_fixed_times(target.getvalue())


def with_fixed_times(package: bytes) -> bytes:
    """The same zip file with the same time on every member, since python-docx writes the time of day into it."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            member = zipfile.ZipInfo(name, MODIFIED.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(name))
    return target.getvalue()


def main() -> None:
    made = {
        "expenses-and-travel-2025.pdf": make_pdf(EXPENSES),
        "information-security.pdf": make_pdf(SECURITY),
        "onboarding.docx": make_docx(ONBOARDING),
        "pension-and-benefits.docx": make_docx(BENEFITS),
    }
    for name, data in made.items():
        (HANDBOOK / name).write_bytes(data)


if __name__ == "__main__":
    main()
