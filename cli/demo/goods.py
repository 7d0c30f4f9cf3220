"""Whom the demo sells to, and what: customers and products that the sandbox's tenant has, and some that it hasn't."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Customer:
    """A customer as the quoting tool knows it. `known` ones are clients in Halo already, some as `halo_name`."""

    id: str
    name: str
    contact: str
    email: str
    known: bool = True
    known_contact: bool = True
    halo_name: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def name_in_halo(self) -> str:
        return self.halo_name or self.name

    @property
    def data(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, **self.more}

    @property
    def contact_data(self) -> dict[str, Any]:
        first, last = self.contact.split(" ", 1)
        return {"name": self.contact, "first_name": first, "last_name": last, "email": self.email}


@dataclass(frozen=True)
class Product:
    """What a line sells; `frequency` is the quoting tool's own word. `known` ones are items in Halo already."""

    name: str
    sku: str
    price: str
    cost: str
    frequency: str | None = None
    category: str | None = None
    known: bool = True

    @property
    def data(self) -> dict[str, Any]:
        found = {"name": self.name, "manufacturer_part_number": self.sku}
        return found if self.category is None else {**found, "category": self.category}


def _new(id_: str, name: str, contact: str, email: str, street: str, city: str, postcode: str) -> Customer:
    address = {"street": street, "city": city, "postcode": postcode, "country": "GB"}
    return Customer(id_, name, contact, email, False, False, more={"address": address})


CUSTOMERS: tuple[Customer, ...] = (
    Customer("org-01", "Alder & Finch Architects", "Hannah Finch", "hannah@alderfinch.example"),
    _new(
        "org-02",
        "Gilt & Grove Interiors",
        "Nadia Rowe",
        "nadia@giltgrove.example",
        "3 Tanner Row",
        "York",
        "YO1 6JB",
    ),
    Customer(
        "org-03",
        "Brightwater Dental",
        "Maya Osei",
        "maya.osei@brightwater.example",
        halo_name="Brightwater Dental Group",
        more={"halo_id": 12},
    ),
    _new(
        "org-04",
        "Harrow Lane Vets",
        "Idris Cole",
        "idris@harrowlane.example",
        "41 Harrow Lane",
        "Bath",
        "BA1 2QT",
    ),
    Customer(
        "org-05",
        "COPPERFIELD LOGISTICS LTD",
        "Sofia Marin",
        "sofia@copperfield.example",
        halo_name="Copperfield Logistics Ltd",
    ),
    _new(
        "org-06",
        "Isbourne Brewing Company",
        "Tess Marlow",
        "tess@isbourne.example",
        "Mill Yard",
        "Evesham",
        "WR11 4AB",
    ),
    Customer("org-07", "Dunmore Charitable Trust", "Ruth Ellery", "ruth@dunmore.example"),
    _new(
        "org-08",
        "Juniper House Nursery",
        "Amir Qadir",
        "amir@juniperhouse.example",
        "9 Park Rise",
        "Leeds",
        "LS6 2RA",
    ),
    Customer(
        "org-09", "Eastgate Solicitors LLP", "Carla Nunes", "carla@eastgate.example", known_contact=False
    ),
    _new(
        "org-10",
        "Kestrel Engineering",
        "Per Lindqvist",
        "per@kestrel.example",
        "Unit 4 Forge Way",
        "Derby",
        "DE1 3GT",
    ),
    _new(
        "org-11",
        "Larkfield Parish Council",
        "Joan Pryce",
        "clerk@larkfield.example",
        "The Green",
        "Larkfield",
        "ME20 6QQ",
    ),
    _new(
        "org-12",
        "Mossgate Housing",
        "Dele Afolabi",
        "dele@mossgate.example",
        "77 Canal Street",
        "Manchester",
        "M1 3HE",
    ),
)

LAPTOP = Product("14-inch Business Laptop", "LT-14-G5", "949.00", "760.00")
DOCK = Product("USB-C Docking Station", "DK-USBC-2", "159.00", "118.00")
MONITOR = Product("27-inch Monitor", "MN-27-QHD", "249.00", "188.00")
SWITCH = Product("24-Port PoE Switch", "SW-24-POE", "489.00", "371.00")
FIREWALL = Product("Firewall Appliance", "FW-100", "899.00", "690.00")
ACCESS_POINT = Product("Wi-Fi 6 Access Point", "AP-W6", "179.00", "129.00")
SERVER = Product("Rack Server", "SRV-R2", "3450.00", "2790.00")
CABLE = Product("CAT6 Patch Lead 2m", "CB-C6-2M", "4.55", "1.85")
INSTALLATION = Product("Installation Day", "SV-INST", "720.00", "380.00")
PROJECT_HOUR = Product("Project Management Hour", "SV-PM", "95.00", "52.00")
LICENCE = Product("Business Premium Licence", "LIC-BP", "18.10", "15.20", "every month")
MAIL_SECURITY = Product("Email Security per Mailbox", "SEC-MAIL", "2.50", "1.40", "every month")
BACKUP = Product("Managed Backup per Device", "BKP-DEV", "12.00", "6.80", "every month")
WORKSTATION = Product("Managed Workstation", "MSP-WS", "32.00", "14.00", "every month")
ENDPOINT = Product("Endpoint Protection Yearly", "EDR-Y", "48.00", "31.00", "every year")
DOMAIN = Product("Domain and DNS Yearly", "DNS-Y", "25.00", "11.00", "every year")
CAMERA = Product("Conference Camera 4K", "CAM-4K", "629.00", "455.00", None, "Meeting rooms", known=False)
DISPLAY = Product(
    "65-inch Meeting Display", "DSP-65", "1120.00", "890.00", None, "Meeting rooms", known=False
)
UPS = Product("UPS 1500 VA", "UPS-1500", "415.00", "322.50", known=False)
PASSWORDS = Product("Password Manager Seat", "PWM-SEAT", "3.75", "2.10", "every month", "Cloud", known=False)
ONBOARDING = Product("Onboarding per User", "SV-ONB", "85.00", "40.00", None, "Labour", known=False)
