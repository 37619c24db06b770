package profiles

import (
	"strconv"
)

var vlanSchema = schema(attributes("id", "priority", "pc_id", "pc_priority", "tagging"))

// vlan writes the VLAN of the phone and that of the device behind it.
func (e *evaluator) vlan(w word) {
	if w.attrs["id"] != nil {
		e.vlanOfNetwork(w)
	}
	priority := setting{name: "vlan_qos", index: noIndex}
	if 0 < e.major && e.major < 8 {
		// One setting before V8: "ID PRIORITY".
		qos := "0"
		if e.argument(w.attrs, "priority", priority, numberIn(0, 7)) {
			last := len(e.out.settings) - 1
			qos = e.out.settings[last].value.text
			e.out.settings = e.out.settings[:last]
		}
		if e.argument(w.attrs, "id", setting{name: "vlan", index: noIndex}, numberIn(0, 4094)) {
			e.out.settings[len(e.out.settings)-1].value.text += " " + qos
		}
		return
	}
	e.argument(w.attrs, "id", setting{name: "vlan_id", index: noIndex}, numberIn(0, 4094))
	e.argument(w.attrs, "priority", priority, numberIn(0, 7))
	e.argument(w.attrs, "pc_id", setting{name: "vlan_pc_id", index: noIndex}, numberIn(0, 4094))
	e.argument(w.attrs, "pc_priority", setting{name: "vlan_pc_priority", index: noIndex}, numberIn(0, 7))
	e.argument(w.attrs, "tagging", setting{name: "vlan_port_tagging", index: noIndex}, onOff)
}

// vlanOfNetwork warns of a VLAN that is not the one which option 132 says: the
// phone would leave the network that it got its settings from.
func (e *evaluator) vlanOfNetwork(w word) {
	id, ok := e.text(w.attrs, "id")
	if !ok {
		return
	}
	said := 0
	for _, n := range e.set.cfg.Networks {
		if n.VLAN == nil || strconv.Itoa(n.VLAN.ID) == id.text {
			return
		}
		said = n.VLAN.ID
	}
	if said != 0 {
		e.warn(ruleOtherVLAN, w.attrs["id"].Expr.Range(), "VLAN other than the network's",
			"The network blocks send the phones to VLAN %d (option 132), and this to VLAN %s. Say it in one place.", said, id.text)
	}
}
