package main

type schemaCmd struct {
	JSON bool `default:"true" negatable:"" hidden:"" help:"There is no other format."`
	settingsSource
}

func (c *schemaCmd) Run(a *app) error {
	set, err := c.load()
	if err != nil {
		return err
	}
	schema, err := set.Describe()
	if err != nil {
		return err
	}
	return printJSON(a.Stdout, schema)
}
